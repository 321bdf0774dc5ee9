/** What the app hands in, checked before anything changes: by the server's rules (C1), and by the app's schemas. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { elementId } from '../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../shared/json.js';
import {
  type CollectionName,
  isCollectionName,
  isWellFormed,
  nameProblem,
  type RecordId,
  recordIdOf,
  storedNameProblem,
} from '../../shared/names.js';
import { DEFAULT_MAX_DEPTH, fieldsProblem } from '../../shared/record-fields.js';
import { readValue } from '../../shared/records.js';
import { canBecome, isSharedText } from '../../shared/rich-text.js';
import { RecordError, type RecordIssue } from '../errors.js';
import { toJson } from './json-record.js';

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
 * The JSON of a record (C13): dates become text, what is undefined is left out. Names and depth are within what
 * every server takes.
 */
export function checkRecord(collection: string, record: unknown, knows: Knows): JsonObject {
  const json = toJson(collection, record);
  const problem = fieldsProblem(json, DEFAULT_MAX_DEPTH, knows);
  if (problem !== null)
    throw new RecordError(problem.code, collection, [{ message: problem.message, path: [] }]);
  return json;
}

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

type Result = StandardSchemaV1.Result<unknown>;

/**
 * Asks the schema of the app; it only checks, what it makes of the record is not stored. One that answers at once
 * throws at once, so that a write need not wait.
 *
 * @param before the record that is changed: what was wrong with it, and is not touched, is not held against the change
 */
export function checkSchema(
  schema: StandardSchemaV1 | undefined,
  collection: string,
  record: JsonObject,
  before: JsonObject | null = null,
): Promise<void> | undefined {
  if (schema === undefined) return undefined;
  const validate = (value: JsonObject) => schema['~standard'].validate(value);
  return then(validate(record), (result) => {
    const issues = issuesOf(result);
    if (issues.length === 0 || before === null) return refuse(issues, collection);
    return then(validate(before), (earlier) => {
      const known = new Set(issuesOf(earlier).map(placeOf));
      const isTouched = ([field]: Path): boolean =>
        field !== undefined && !equalityDeep(record[field], before[field]);
      refuse(
        issues.filter((issue) => isTouched(issue.path) || !known.has(placeOf(issue))),
        collection,
      );
    });
  });
}

/** At once where there is nothing to wait for. */
function then(
  result: Result | Promise<Result>,
  next: (result: Result) => Promise<void> | undefined | void,
): Promise<void> | undefined {
  if (result instanceof Promise) return result.then(next);
  return next(result) ?? undefined;
}

const placeOf = ({ path }: RecordIssue): string => JSON.stringify(path);

const issuesOf = ({ issues = [] }: Result): RecordIssue[] =>
  issues.map(({ message, path = [] }) => ({ message, path: path.map(keyOf) }));

function refuse(issues: readonly RecordIssue[], collection: string): undefined {
  if (issues.length > 0) throw new RecordError('SCHEMA', collection, issues);
}

function keyOf(segment: PropertyKey | StandardSchemaV1.PathSegment): string | number {
  const key = typeof segment === 'object' ? segment.key : segment;
  return typeof key === 'number' ? key : String(key);
}
