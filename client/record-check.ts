/** What the app hands in, checked before anything changes: by the server's rules (C1), and by the app's schemas. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import * as Y from 'yjs';
import { elementId } from '../shared/elements.js';
import {
  type CollectionName,
  isCollectionName,
  isWellFormed,
  nameProblem,
  type RecordId,
  recordIdOf,
  storedNameProblem,
} from '../shared/names.js';
import { DEFAULT_MAX_DEPTH, fieldsProblem } from '../shared/record-fields.js';
import { isObject, type Json, type JsonObject, readValue } from '../shared/records.js';
import { canBecome, isSharedText } from '../shared/rich-text.js';
import { RecordError } from './errors.js';

/** Whether a name that could not be new is on this device already, so that what has it can be changed. */
export type Knows = (name: string) => boolean;

/** A name as it may stand in a document; where `knows` is given, one that may be new, or is known. */
export function checkCollection(name: string, knows?: Knows): CollectionName {
  const problem = typeof name === 'string' ? problemOf(name, knows) : 'is no string';
  if (problem === null && isCollectionName(name)) return name;
  throw new RecordError('INVALID_NAME', String(name), [
    { message: `The collection name ${problem}.`, path: [] },
  ]);
}

export function checkId(collection: string, value: unknown, knows?: Knows): RecordId {
  const id = recordIdOf(value);
  const problem = typeof value === 'string' ? problemOf(value, knows) : 'is no string and no safe integer';
  if (id !== null && (problem === null || typeof value !== 'string')) return id;
  throw new RecordError('INVALID_NAME', collection, [{ message: `The record id ${problem}.`, path: ['id'] }]);
}

function problemOf(name: string, knows: Knows | undefined): string | null {
  const problem = nameProblem(name);
  if (problem === null) return null;
  const mayStay = storedNameProblem(name) === null && isWellFormed(name);
  return mayStay && (knows === undefined || knows(name)) ? null : problem;
}

/**
 * The JSON of a record, as `JSON.stringify` makes it: dates become text, what is undefined is left out. Names and
 * depth are within what every server takes.
 */
export function checkRecord(collection: string, record: unknown, knows: Knows): JsonObject {
  const json = toJson(collection, record);
  const problem = fieldsProblem(json, DEFAULT_MAX_DEPTH, knows);
  if (problem !== null)
    throw new RecordError(problem.code, collection, [{ message: problem.message, path: [] }]);
  return json;
}

function toJson(collection: string, record: unknown): JsonObject {
  let json: unknown;
  try {
    json = JSON.parse(JSON.stringify(record) ?? 'null');
  } catch (error) {
    throw invalid(collection, `The record is no JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (!isObject(json)) throw invalid(collection, 'The record is no object.');
  return json;
}

const invalid = (collection: string, message: string) =>
  new RecordError('INVALID_RECORD', collection, [{ message, path: [] }]);

type Path = readonly (string | number)[];

/** A rich text takes other words, and nothing else (D2): what can't be written is refused as a whole. */
export function checkTexts(collection: string, map: Y.Map<unknown> | null, json: JsonObject): void {
  const issues = unwritable(map, json, []).map((path) => ({
    message: 'This text is open to editors: write the same tags with other words, or edit its shared type.',
    path,
  }));
  if (issues.length > 0) throw new RecordError('INVALID_RECORD', collection, issues);
}

function unwritable(current: unknown, json: Json, path: Path): Path[] {
  if (isSharedText(current)) return readValue(current) === json || canBecome(current, json) ? [] : [path];
  if (current instanceof Y.Map && isObject(json)) {
    return Object.entries(json).flatMap(([key, value]) =>
      unwritable(current.get(key), value, [...path, key]),
    );
  }
  if (!(current instanceof Y.Array) || !Array.isArray(json)) return [];
  const elements = new Map(current.map((element: unknown) => [elementId(readValue(element)), element]));
  return json.flatMap((value, index) => {
    const id = elementId(value);
    return id === null ? [] : unwritable(elements.get(id), value, [...path, index]);
  });
}

/**
 * Asks the schema of the app; it only checks, what it makes of the record is not stored. One that answers at once
 * throws at once, so that a write need not wait.
 */
export function checkSchema(
  schema: StandardSchemaV1 | undefined,
  collection: string,
  record: JsonObject,
): Promise<void> | undefined {
  const result = schema?.['~standard'].validate(record);
  if (result instanceof Promise) return result.then((late) => refuseIssues(late, collection));
  if (result !== undefined) refuseIssues(result, collection);
  return undefined;
}

function refuseIssues(result: StandardSchemaV1.Result<unknown>, collection: string): void {
  if (result.issues === undefined) return;
  const issues = result.issues.map(({ message, path = [] }) => ({ message, path: path.map(keyOf) }));
  throw new RecordError('SCHEMA', collection, issues);
}

function keyOf(segment: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof segment === 'object' ? segment.key : segment;
  return typeof key === 'number' ? key : String(key);
}
