/**
 * Texts that people write in an editor, as JSON devices see them: one string, tags included. An editor may be open
 * on such a text, so it is never replaced: what a JSON device changed in the words is written inside it (D2).
 */
import * as Y from 'yjs';
import type { Json, JsonObject } from './json.js';
import { tagsIn } from './tags.js';
import { type TextEdit, textEdits } from './text-edits.js';

export type SharedText = Y.Text | Y.XmlFragment;

export const isSharedText = (value: unknown): value is SharedText =>
  value instanceof Y.Text || value instanceof Y.XmlFragment;

/** Whether its string has tags that are no words of it. */
export const isMarkup = (value: unknown): boolean =>
  value instanceof Y.XmlText || value instanceof Y.XmlFragment;

/** Characters of one format, and where they stand in their text. */
interface Run {
  readonly text: Y.Text;
  readonly place: number;
  readonly characters: string;
  readonly format: JsonObject;
}

/** What stands between two tags. */
interface Passage {
  readonly runs: Run[];
  /** An element, or the whole fragment, that has nothing in it yet. */
  room: Y.XmlFragment | null;
}

/** Editors on ProseMirror, Tiptap for one, put words into paragraphs, and remove an element that they don't know. */
const PARAGRAPH = 'paragraph';

/**
 * Gives the text the words that `wanted` has, between the tags that it has; an empty one takes all words away and
 * leaves the tags. `false`, and nothing is changed, where `wanted` differs in more than words.
 *
 * @example writeText(body, '<paragraph>Hallo</paragraph>') // was '<paragraph>Hello</paragraph>'
 */
export function writeText(text: SharedText, wanted: string): boolean {
  const changes = changesTo(text, wanted);
  // From the end, so that each place is still what it was when it is its turn.
  for (const change of changes?.reverse() ?? []) change();
  return changes !== null;
}

/** Whether `writeText` would write it: a string in the place of the text, or `null`, which takes its words away. */
export const canBecome = (text: SharedText, json: Json): boolean =>
  json === null || (typeof json === 'string' && changesTo(text, json) !== null);

function changesTo(text: SharedText, wanted: string): (() => void)[] | null {
  const form = TextForm.of(text);
  const words =
    form === null || wanted === '' ? form?.passages.map(() => '') : wordsBetween(form.tags, wanted);
  if (form === null || !words) return null;
  const changes: (() => void)[] = [];
  for (const [index, passage] of form.passages.entries()) {
    const [before, after] = [charactersOf(passage), words[index] ?? ''];
    if (before === after) continue;
    const runs = form.runsFor(passage);
    if (runs === null || (isMarkup(text) && bringsTags(before, after))) return null;
    for (const edit of textEdits(before, after)) changes.push(() => apply(edit, runs()));
  }
  return changes;
}

const charactersOf = ({ runs }: Passage): string => runs.map(({ characters }) => characters).join('');

/** What stands before, between and behind the tags; `null` where they are not all there. */
function wordsBetween(tags: readonly string[], wanted: string): string[] | null {
  const words: string[] = [];
  let from = 0;
  for (const tag of tags) {
    const at = wanted.indexOf(tag, from);
    if (at < 0) return null;
    words.push(wanted.slice(from, at));
    from = at + tag.length;
  }
  return [...words, wanted.slice(from)];
}

function bringsTags(before: string, after: string): boolean {
  const known = tagsIn(before);
  return tagsIn(after).some((tag) => {
    const at = known.indexOf(tag);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}

/** The string of a text, taken apart: passages, and the tags that stand between them. */
class TextForm {
  readonly passages: Passage[] = [{ runs: [], room: null }];
  readonly tags: string[] = [];
  /** Elements that hold words. */
  readonly #names = new Set<string>([PARAGRAPH]);

  /** `null` where the text has more in it than its string shows. */
  static of(text: SharedText): TextForm | null {
    const form = new TextForm();
    try {
      if (text instanceof Y.Text) form.#text(text);
      else if (text instanceof Y.XmlElement) form.#element(text);
      else form.#children(text);
      return form.#string() === text.toString() ? form : null;
    } catch {
      return null; // Yjs can't print it either
    }
  }

  /** The runs that words of a passage go into; `null` where there may be none. */
  runsFor({ runs, room }: Passage): (() => readonly Run[]) | null {
    if (runs.length > 0) return () => runs;
    if (room === null || (room instanceof Y.XmlElement && !this.#names.has(room.nodeName))) return null;
    return () => [{ text: textInside(room), place: 0, characters: '', format: {} }];
  }

  #string(): string {
    return this.passages.map((passage, index) => charactersOf(passage) + (this.tags[index] ?? '')).join('');
  }

  get #last(): Passage {
    return this.passages.at(-1) as Passage; // there always is one
  }

  /** Tags with no room for words between them count as one. */
  #tag(tag: string): void {
    const { runs, room } = this.#last;
    if (tag === '') return;
    if (runs.length === 0 && room === null && this.tags.length > 0) {
      this.tags.push((this.tags.pop() ?? '') + tag);
    } else {
      this.tags.push(tag);
      this.passages.push({ runs: [], room: null });
    }
  }

  #children(xml: Y.XmlFragment): void {
    const children = xml.toArray() as unknown[];
    if (children.length === 0) this.#last.room = xml;
    for (const child of children) {
      if (child instanceof Y.XmlText) {
        if (xml instanceof Y.XmlElement) this.#names.add(xml.nodeName);
        this.#text(child);
      } else if (child instanceof Y.XmlElement) this.#element(child);
      else this.#tag(String(child));
    }
  }

  #element(element: Y.XmlElement): void {
    const name = element.nodeName.toLocaleLowerCase();
    this.#tag(`<${name}${attributesOf(element.getAttributes())}>`);
    this.#children(element);
    this.#tag(`</${name}>`);
  }

  /** Between two formats, and before and behind them, there is always room for words without one. */
  #text(text: Y.Text): void {
    const runs = this.#runs(text);
    let [place, isBare] = [0, false];
    for (const { insert, attributes = {} } of text.toDelta() as Insert[]) {
      const { open, close } = isMarkup(text) ? tagsOf(attributes) : NO_TAGS;
      const wasBare = isBare;
      isBare = open === '' && typeof insert === 'string';
      if (!isBare && !wasBare) runs(place, '', {});
      this.#tag(open);
      if (typeof insert === 'string') runs(place, insert, attributes);
      else if (isMarkup(text)) this.#tag(String(insert));
      this.#tag(close);
      place += typeof insert === 'string' ? insert.length : 1;
    }
    if (!isBare) runs(place, '', {});
    if (place !== text.length) throw new Error('There is more in the text than can be read.');
  }

  readonly #runs = (text: Y.Text) => (place: number, characters: string, format: JsonObject) =>
    this.#last.runs.push({ text, place, characters, format });
}

interface Insert {
  readonly insert: unknown;
  readonly attributes?: JsonObject;
}

/** As Yjs prints them: by name, and nothing escaped. */
const attributesOf = (attributes: object): string =>
  byName(attributes)
    .map(([name, value]) => ` ${name}="${value}"`)
    .join('');

const byName = (values: object): [name: string, value: unknown][] =>
  Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));

const NO_TAGS = { open: '', close: '' };

/** Of a format: one inside the other. */
const tagsOf = (format: JsonObject): { open: string; close: string } =>
  byName(format).reduce(
    ({ open, close }, [name, values]) => ({
      open: `${open}<${name}${attributesOf(Object(values))}>`,
      close: `</${name}>${close}`,
    }),
    NO_TAGS,
  );

function textInside(room: Y.XmlFragment): Y.XmlText {
  const text = new Y.XmlText();
  if (room instanceof Y.XmlElement) room.insert(0, [text]);
  else {
    const paragraph = new Y.XmlElement(PARAGRAPH);
    paragraph.insert(0, [text]);
    room.insert(0, [paragraph]);
  }
  return text;
}

/** A stretch of a run, by places in its characters. */
interface Stretch {
  readonly run: Run;
  readonly from: number;
  readonly to: number;
}

/**
 * What is embedded between the words stays. New words get the format of those that they replace, or follow. They come
 * in before those go: behind what is deleted, Yjs would put them in one place with what others type after it, and it
 * would be chance which comes first.
 */
function apply({ index, remove, insert }: TextEdit, runs: readonly Run[]): void {
  const gone = stretches(runs, index, index + remove);
  const place = placeFor(gone);
  if (insert !== '') place.run.text.insert(place.run.place + place.at, insert, { ...place.format });
  for (const { run, from, to } of [...gone].reverse()) {
    const shift = run.text === place.run.text ? insert.length : 0;
    if (to > from) run.text.delete(run.place + from + shift, to - from);
  }
}

/** Of all runs that touch this part of their characters, at least one. */
function stretches(runs: readonly Run[], from: number, to: number): Stretch[] {
  let start = 0;
  return runs.flatMap((run) => {
    const [before, length] = [start, run.characters.length];
    start += length;
    if (start < from || before > to) return [];
    return [{ run, from: Math.max(0, from - before), to: Math.min(length, to - before) }];
  });
}

/**
 * Where an edit begins, and its format. A line break of a Y.Text may carry what holds for its line, as in Quill:
 * that is no format for words.
 */
function placeFor(touched: readonly Stretch[]): { run: Run; at: number; format: JsonObject } {
  const isModel = ({ text, characters }: Run, at: number) =>
    characters[at] !== undefined && (isMarkup(text) || characters[at] !== '\n');
  const replaced = touched.find(({ run, from, to }) => to > from && isModel(run, from));
  const followed = touched.find(({ run, from }) => isModel(run, from - 1));
  const preceded = touched.find(({ run, to }) => isModel(run, to));
  const model = replaced ?? followed ?? preceded;
  const first = touched.find(({ from, to }) => to > from) ?? model ?? (touched[0] as Stretch);
  return { run: first.run, at: first.from, format: model?.run.format ?? {} };
}
