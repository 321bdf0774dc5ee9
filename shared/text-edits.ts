/** What turns one text into another, as edits that leave everything else where it is. */
import { align } from './merge/sequences.js';

export interface TextEdit {
  readonly index: number;
  readonly remove: number;
  readonly insert: string;
}

/** The one hunk that turns `from` into `to`, without splitting a surrogate pair. */
export function textEdit(from: string, to: string): TextEdit {
  const most = Math.min(from.length, to.length);
  let start = 0;
  while (start < most && from[start] === to[start]) start++;
  if (start > 0 && isHighSurrogate(from, start - 1)) start--;
  let end = 0;
  while (end < most - start && from[from.length - 1 - end] === to[to.length - 1 - end]) end++;
  if (end > 0 && isLowSurrogate(from, from.length - end)) end--;
  return { index: start, remove: from.length - start - end, insert: to.slice(start, to.length - end) };
}

const isHighSurrogate = (text: string, index: number) => (text.charCodeAt(index) & 0xfc00) === 0xd800;
const isLowSurrogate = (text: string, index: number) => (text.charCodeAt(index) & 0xfc00) === 0xdc00;

/** No finer: what is in the middle of a word that changed is looked at by characters. */
const wordsIn = (text: string): string[] => text.match(/\s+|\S+/g) ?? [];

/**
 * The hunks that turn `from` into `to`, in order of their places in `from`: words that are on both sides stay.
 *
 * @example textEdits('one two three', 'One two 3') // 'O' for 'o', '3' for 'three'
 */
export function textEdits(from: string, to: string): TextEdit[] {
  const whole = textEdit(from, to);
  if (whole.remove === 0 && whole.insert === '') return [];
  if (whole.remove === 0 || whole.insert === '') return [whole];
  const old = wordsIn(from.slice(whole.index, whole.index + whole.remove));
  return hunks(old, wordsIn(whole.insert)).map((edit) => ({ ...edit, index: edit.index + whole.index }));
}

function hunks(old: readonly string[], made: readonly string[]): TextEdit[] {
  const edits: TextEdit[] = [];
  let [index, next, removed] = [0, 0, ''];
  for (const [k, place] of [...kept(old, made), made.length].entries()) {
    const token = old[k] ?? '';
    if (place === -1) {
      removed += token;
      continue;
    }
    const edit = textEdit(removed, made.slice(next, place).join(''));
    if (edit.remove > 0 || edit.insert !== '') edits.push({ ...edit, index: index + edit.index });
    index += removed.length + token.length;
    [next, removed] = [place + 1, ''];
  }
  return edits;
}

/** A space between two words that are both gone is no word that stayed. */
function kept(old: readonly string[], made: readonly string[]): number[] {
  const places = align(old, made);
  const isLoose = (k: number) => places[k - 1] === -1 && places[k + 1] === -1 && old[k]?.trim() === '';
  return places.map((place, k) => (isLoose(k) ? -1 : place));
}
