/** Three-way merge of texts, word by word. */

import { splitAtTags, tagsIn } from '../tags.js';
import { align, insertions, nearest, type Tokens } from './sequences.js';

/** Scripts that put no spaces between words: here each character stands for itself. */
const UNSPACED = '\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmr}\\p{sc=Mymr}';
const LETTER = `(?:(?![${UNSPACED}])[\\p{L}\\p{N}\\p{M}_])`;
/** "1.5", "120/80" and "2024-05-01" are one word each: half of such a value is another value. */
const WORD = `${LETTER}+(?:[.,:/'’-]${LETTER}+)*`;
const MARKS = '[\\p{M}\\p{EMod}]*';
/** One character as people see it: with its accents, a flag, an emoji joined of several. */
const CHARACTER = `\\p{RI}{2}|.${MARKS}(?:\\u200d.${MARKS})*`;
const TOKEN = new RegExp(`\\s+|${WORD}|${CHARACTER}`, 'gsu');
const IS_WORD = new RegExp(`^${LETTER}`, 'u');

/**
 * What two people made of one text. `seen` are the versions that `incoming` may have started from; at least one.
 *
 * @example mergeText(['Fever. Cough.'], 'Fever. No cough.', 'High fever. Cough.') // 'High fever. No cough.'
 */
export function mergeText(seen: readonly string[], incoming: string, current: string): string {
  if (isUntouched(seen, current)) return incoming;
  const bases = latestLast(seen, current).map(tokensOf);
  const i = tokensOf(incoming);
  return joined(mergeTokens(nearest(bases, i), i, tokensOf(current)));
}

/**
 * The same where the texts have tags: each is one token. To empty such a text is to take its words away.
 *
 * @example mergeMarkup(['<p>Fever.</p>'], '', '<p>Fever. Cough.</p>') // '<p> Cough.</p>'
 */
export function mergeMarkup(seen: readonly string[], incoming: string, current: string): string {
  if (incoming !== '' && isUntouched(seen, current)) return incoming;
  const bases = latestLast(seen, current);
  const i = incoming === '' ? tagsIn(bases.at(-1) ?? '') : markupTokens(incoming);
  return joined(mergeTokens(nearest(bases.map(markupTokens), i), i, markupTokens(current)));
}

/** Nobody else changed it: there is nothing to merge, which takes its time where a text is long. */
const isUntouched = (seen: readonly string[], current: string): boolean =>
  seen.every((version) => version === current);

/** Of versions that are equally near, the last one counts: the text as it is, if that was seen. */
function latestLast(seen: readonly string[], current: string): string[] {
  const latestFirst = new Set([...(seen.includes(current) ? [current] : []), ...[...seen].reverse()]);
  return [...latestFirst].reverse();
}

const tokensOf = (text: string): string[] => text.match(TOKEN) ?? [];

const markupTokens = (text: string): string[] =>
  splitAtTags(text).flatMap((part, index) => (index % 2 === 0 ? tokensOf(part) : [part]));

interface Side {
  /** For each token of the base its place on this side, -1 where it is gone. */
  readonly places: readonly number[];
  /** For each gap of the base the tokens that came. */
  readonly gaps: readonly Tokens[];
}

function sideOf(base: Tokens, tokens: Tokens): Side {
  const places = align(base, tokens);
  const gaps = insertions(places, tokens.length).map((gap) => gap.map((at) => tokens[at] ?? ''));
  return { places, gaps };
}

function mergeTokens(base: Tokens, incoming: Tokens, current: Tokens): string[] {
  const [i, c] = [sideOf(base, incoming), sideOf(base, current)];
  const parts: Tokens[] = [];
  for (let gap = 0; gap <= base.length; gap++) {
    parts.push(both(i.gaps[gap] ?? [], c.gaps[gap] ?? []));
    if (i.places[gap] !== -1 && c.places[gap] !== -1) parts.push(base.slice(gap, gap + 1));
  }
  return parts.flat();
}

/** What both put between the same words; where one went on from what the other wrote, that is there once. */
function both(mine: Tokens, theirs: Tokens): Tokens {
  const most = Math.min(mine.length, theirs.length);
  const beginAlike = mine.slice(0, most).every((token, index) => token === theirs[index]);
  if (!beginAlike) return [...theirs, ...mine];
  return mine.length > most ? mine : theirs;
}

/** Two words that meet are kept apart: "20 mg" that became "30 mg" and "40 mg" must not read "3040 mg". */
function joined(tokens: Tokens): string {
  const spaced = tokens.map((token, index) => {
    const before = tokens[index - 1];
    return before !== undefined && IS_WORD.test(before) && IS_WORD.test(token) ? ` ${token}` : token;
  });
  return spaced.join('');
}
