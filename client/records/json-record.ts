/** The door for values (C13): a record as JSON, without what `JSON.stringify` would change and not say so. */

import { isObject, type Json, type JsonObject } from '../../shared/json.js';
import { isWellFormed } from '../../shared/names.js';
import { DEFAULT_MAX_DEPTH } from '../../shared/record-fields.js';
import { RecordError, type RecordIssue } from '../errors.js';

type Path = readonly (string | number)[];

/** Dates become ISO text, what has a `toJSON` what that says, and fields that are undefined are left out. */
export function toJson(collection: string, record: unknown): JsonObject {
  const issues: RecordIssue[] = [];
  const json = new Reader(issues).read(record, []);
  if (issues.length === 0 && !isObject(json)) issues.push({ message: 'The record is no object.', path: [] });
  if (issues.length > 0) throw new RecordError('INVALID_RECORD', collection, issues);
  return json as JsonObject;
}

class Reader {
  readonly #issues: RecordIssue[];
  /** The objects that lead to the value that is read. */
  readonly #open = new Set<unknown>();

  constructor(issues: RecordIssue[]) {
    this.#issues = issues;
  }

  read(value: unknown, path: Path): Json | undefined {
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'string') {
      const isId = path.length === 1 && path[0] === 'id'; // a name, and checked as one
      return isId || isWellFormed(value)
        ? value
        : this.#refuse('has half of a character (a lone surrogate)', path);
    }
    if (typeof value === 'number') {
      return Number.isFinite(value) ? value + 0 : this.#refuse(`is ${value}: use null or a text`, path); // no -0
    }
    if (typeof value !== 'object')
      return this.#refuse(
        `is ${value === undefined ? '' : 'a '}${typeof value}, which JSON does not have`,
        path,
      );
    if (this.#open.has(value)) return this.#refuse('contains itself', path);
    if (path.length > DEFAULT_MAX_DEPTH) return null; // refused for its depth by who asks
    this.#open.add(value);
    try {
      return this.#readObject(value, path);
    } catch (error) {
      return this.#refuse(`can't be read (${error instanceof Error ? error.name : 'it throws'})`, path);
    } finally {
      this.#open.delete(value);
    }
  }

  #readObject(value: object, path: Path): Json | undefined {
    const kind = kindOf(value);
    if (kind === 'Date' && Number.isNaN((value as Date).getTime()))
      return this.#refuse('is no valid date', path);
    if (Array.isArray(value)) return this.#readList(value, path);
    const isBinary = ArrayBuffer.isView(value) || kind === 'Blob';
    if (!isBinary && 'toJSON' in value && typeof value.toJSON === 'function') {
      return this.read(value.toJSON(String(path.at(-1) ?? '')), path);
    }
    if (isBinary || kind !== 'Object' || isOpaque(value)) {
      return this.#refuse(`is a ${kind}, which would be lost: use plain objects, lists and texts`, path);
    }
    const fields = Object.entries(value).flatMap(([key, field]) => {
      if (field === undefined) return [];
      const json = this.read(field, [...path, key]);
      return json === undefined ? [] : [[key, json] as const];
    });
    return Object.fromEntries(fields);
  }

  /** By index: holes are no elements of an iteration. */
  #readList(list: readonly unknown[], path: Path): Json[] {
    return Array.from(list, (value, index): Json => {
      const at = [...path, index];
      if (value !== undefined) return this.read(value, at) ?? null;
      this.#refuse('is undefined: use null, or leave the element out', at);
      return null;
    });
  }

  #refuse(what: string, path: Path): undefined {
    const name = path.length === 0 ? 'The record' : 'This value';
    this.#issues.push({ message: `${name} ${what}.`, path });
    return undefined;
  }
}

/** `Map`, `Blob`, `Error`…; `Object` for plain objects and for those of the app's own classes. */
function kindOf(value: object): string {
  if (typeof Blob === 'function' && value instanceof Blob) return 'Blob'; // on phones it does not say so
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** An object of a class that shows no fields: it keeps what it has in private ones. */
function isOpaque(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return !isPlain && Object.keys(value).length === 0;
}
