/**
 * Values of a document as JSON with marks: what kind a value is, wherever JSON does not say it. The same content
 * gives the same JSON and marks, however the document came to hold it and in whichever order it was loaded.
 */
import { fromBase64 } from 'lib0/buffer';
import * as Y from 'yjs';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { readValue, sharedValue } from '../../../shared/records.js';
import { sameJson } from './patch.js';

/** By path, `/field/0/key`, and sparse: an object is a Y.Map and an array a Y.Array unless marked. */
export type TypeMarks = { readonly [path: string]: TypeMark };

/**
 * `text` is a Y.Text without formats; `plain` an object or array that was stored as one value, with all that is
 * in it; `missing` stands at the `/id` of a record that has no such field. Other shared types are written out.
 */
export type TypeMark = 'text' | 'plain' | 'missing' | ScalarMark | HookMark | RichMark;
type ScalarMark = 'bytes' | 'bigint' | 'NaN' | 'Infinity' | '-Infinity' | 'undefined';
/** A Y.XmlHook: a map with a name. */
type HookMark = { kind: 'hook'; name: string };
export type TextMark = { kind: 'text' | 'xmlText'; runs: TextRun[]; attributes: HeldFields };
export type XmlMark =
  | { kind: 'element'; name: string; attributes: HeldFields; children: Held[] }
  | { kind: 'fragment'; children: Held[] };
export type RichMark = TextMark | XmlMark;
/** Characters of one format, or one thing that is embedded. */
export type TextRun = [content: string | { embed: Held }, format: JsonObject];
/** A value inside a rich type: itself if it is a scalar of JSON, another rich type, or its JSON with marks. */
export type Held =
  | null
  | boolean
  | number
  | string
  | RichMark
  | { kind: 'value'; json: Json; types: TypeMarks | null };
export type HeldFields = { [name: string]: Held };

export const pathTo = (path: string, key: string | number): string =>
  `${path}/${typeof key === 'number' ? key : key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** The first key of a path. */
export const fieldOf = (path: string): string =>
  (path.split('/')[1] ?? '').replaceAll('~1', '/').replaceAll('~0', '~');

/** Yjs takes a bigint and `undefined` as a field but not as an element, so there they can't be brought back. */
export const isElement = (value: unknown): boolean => value !== undefined && typeof value !== 'bigint';

const isContainer = (value: unknown): value is JsonObject | unknown[] =>
  Array.isArray(value) || isObject(value);

const isScalar = (value: unknown): value is null | boolean | number | string =>
  typeof value === 'string' ||
  typeof value === 'boolean' ||
  value === null ||
  (typeof value === 'number' && Number.isFinite(value));

/** Reads values as `readValue` does and notes the marks of what it meets. */
export class ImageReader {
  types: Record<string, TypeMark> | null = null;
  readonly #path: (string | number)[] = [];

  mark(mark: TypeMark | null, path?: string): void {
    if (mark === null) return;
    this.types ??= {};
    this.types[path ?? this.#path.reduce<string>(pathTo, '')] = mark;
  }

  /** What stands at a key of the value that is being read. */
  entry(key: string | number, value: unknown): Json {
    return isScalar(value) ? value : this.#below(key, value, false);
  }

  value(value: unknown): Json {
    if (isScalar(value)) return value;
    if (value instanceof Y.Map) return this.#map(value);
    if (value instanceof Y.Array) {
      return value.map((each, index) => (isElement(each) ? this.entry(index, each) : readValue(each)));
    }
    if (!isContainer(value) || value instanceof Y.AbstractType) return this.#leaf(value);
    this.mark('plain');
    return this.#plain(value);
  }

  #map(map: Y.Map<unknown>): JsonObject {
    const object: JsonObject = {};
    this.mark(hookMark(map));
    for (const [key, value] of map.entries()) if (value !== undefined) object[key] = this.entry(key, value);
    return object;
  }

  #plain(value: JsonObject | unknown[]): Json {
    const read = (key: string | number, each: unknown) =>
      isScalar(each) ? each : this.#below(key, each, true);
    if (Array.isArray(value)) return value.map((each, index) => read(index, each));
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, read(key, each)]));
  }

  #leaf(value: unknown): Json {
    this.mark(leafMark(value));
    return readValue(value);
  }

  #below(key: string | number, value: unknown, inPlain: boolean): Json {
    this.#path.push(key);
    const json = !inPlain ? this.value(value) : isContainer(value) ? this.#plain(value) : this.#leaf(value);
    this.#path.pop();
    return json;
  }
}

export const hookMark = (value: unknown): HookMark | null =>
  value instanceof Y.XmlHook ? { kind: 'hook', name: value.hookName } : null;

function leafMark(value: unknown): TypeMark | null {
  if (value instanceof Y.Text) return textMark(value);
  if (value instanceof Y.XmlFragment) return xmlMark(value);
  if (value instanceof Uint8Array) return 'bytes';
  if (typeof value === 'bigint') return 'bigint';
  if (typeof value === 'number') return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
  return value === undefined ? 'undefined' : null;
}

function textMark(text: Y.Text): 'text' | TextMark {
  const mark = describeText(text);
  const isPlain = mark.runs.every(([content, format]) => typeof content === 'string' && sameJson(format, {}));
  return isPlain && mark.kind === 'text' && sameJson(mark.attributes, {}) ? 'text' : mark;
}

export function describeText(text: Y.Text): TextMark {
  const attributes = holdFields(text.getAttributes());
  return { kind: text instanceof Y.XmlText ? 'xmlText' : 'text', runs: runsOf(text), attributes };
}

/** Not `toDelta`: neighbours of one format are one run here, whatever they went through. */
function runsOf(text: Y.Text): TextRun[] {
  const runs: TextRun[] = [];
  let format: JsonObject = {};
  for (let item = text._start; item !== null; item = item.right) {
    const { content } = item;
    if (item.deleted) continue;
    if (content instanceof Y.ContentFormat) format = withFormat(format, content);
    else if (content instanceof Y.ContentString) addRun(runs, [content.str, format]);
    else if (content instanceof Y.ContentEmbed || content instanceof Y.ContentType) {
      const embed: unknown = content.getContent()[0];
      // Yjs could not insert these two again.
      if (typeof embed !== 'string' && embed !== null) addRun(runs, [{ embed: hold(embed) }, format]);
    }
  }
  return runs;
}

function withFormat(format: JsonObject, { key, value }: Y.ContentFormat): JsonObject {
  const { [key]: _, ...others } = format;
  return value === null ? others : { ...others, [key]: readValue(value) };
}

/** Adds to the last run where the format is the same. */
export function addRun(runs: TextRun[], [content, format]: TextRun): void {
  const last = runs.at(-1);
  if (typeof content === 'string' && typeof last?.[0] === 'string' && sameJson(last[1], format)) {
    last[0] += content;
  } else runs.push([content, format]);
}

function xmlMark(xml: Y.XmlFragment): XmlMark {
  const children = (xml.toArray() as unknown[]).filter(isElement).map(hold);
  if (!(xml instanceof Y.XmlElement)) return { kind: 'fragment', children };
  return { kind: 'element', name: xml.nodeName, attributes: holdFields(xml.getAttributes()), children };
}

function holdFields(fields: Record<string, unknown>): HeldFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, hold(value)]));
}

export function hold(value: unknown): Held {
  if (isScalar(value)) return value;
  if (value instanceof Y.Text) return describeText(value);
  if (value instanceof Y.XmlFragment) return xmlMark(value);
  const reader = new ImageReader();
  return { kind: 'value', json: reader.value(value), types: reader.types };
}

export function unhold(held: Held): unknown {
  if (typeof held !== 'object' || held === null) return held;
  return held.kind === 'value' ? buildValue(held.json, held.types, '') : buildRich(held);
}

/** The value at `path`, as it was read: fresh, to be set somewhere in a document. */
export function buildValue(json: Json, types: TypeMarks | null, path: string): unknown {
  const mark = types?.[path];
  if (types === null) return sharedValue(json);
  if (mark === 'plain') return buildPlain(json, types, path);
  if (typeof mark === 'string') return buildMarked(mark, json);
  if (mark !== undefined && mark.kind !== 'hook') return buildRich(mark);
  const part = (key: string | number, each: Json) => buildValue(each, types, pathTo(path, key));
  if (Array.isArray(json)) return sharedArray(json.map((each, index) => part(index, each)));
  if (!isObject(json)) return json;
  const map: Y.Map<unknown> = mark === undefined ? new Y.Map<unknown>() : new Y.XmlHook(mark.name);
  for (const [key, each] of Object.entries(json)) map.set(key, part(key, each));
  return map;
}

function sharedArray(elements: unknown[]): Y.Array<unknown> {
  const array = new Y.Array<unknown>();
  array.push(elements);
  return array;
}

function buildPlain(json: Json, types: TypeMarks, path: string): unknown {
  const part = (key: string | number, each: Json) => buildPlain(each, types, pathTo(path, key));
  if (Array.isArray(json)) return json.map((each, index) => part(index, each));
  if (isObject(json)) {
    return Object.fromEntries(Object.entries(json).map(([key, each]) => [key, part(key, each)]));
  }
  const mark = types[path];
  return typeof mark === 'string' ? buildMarked(mark, json) : json;
}

function buildMarked(mark: TypeMark & string, json: Json): unknown {
  if (mark === 'text') return new Y.Text(String(json));
  if (mark === 'bytes') return fromBase64(String(json));
  if (mark === 'bigint') return BigInt(String(json));
  if (mark === 'undefined') return undefined;
  return mark === 'plain' || mark === 'missing' ? json : Number(mark);
}

function buildRich(mark: RichMark): Y.Text | Y.XmlFragment {
  if (mark.kind === 'fragment') return filled(new Y.XmlFragment(), mark.children);
  if (mark.kind === 'element') {
    return filled(withAttributes(new Y.XmlElement(mark.name), mark.attributes), mark.children);
  }
  const text = mark.kind === 'text' ? new Y.Text() : new Y.XmlText();
  text.applyDelta(mark.runs.map(insertion));
  return withAttributes(text, mark.attributes);
}

/** As Yjs takes it; it writes into the attributes that it is given. */
export const insertion = ([content, format]: TextRun): { insert: unknown; attributes: JsonObject } => ({
  insert: typeof content === 'string' ? content : unhold(content.embed),
  attributes: { ...format },
});

function filled(xml: Y.XmlFragment, children: readonly Held[]): Y.XmlFragment {
  xml.insert(0, children.map(unhold) as (Y.XmlElement | Y.XmlText)[]);
  return xml;
}

function withAttributes<T extends Y.Text | Y.XmlElement>(type: T, attributes: HeldFields): T {
  for (const [name, value] of Object.entries(attributes)) type.setAttribute(name, unhold(value) as string);
  return type;
}
