/** Messages of JSON devices: one schema each, parsed once, when it comes in (L10). */
import { equalityDeep } from 'lib0/function';
import { z } from 'zod';
import { isObject, type JsonObject, type JsonRecord } from '../../shared/json.js';
import {
  type CollectionName,
  type DeviceId,
  isCollectionName,
  isWellFormed,
  nameProblem,
  type RecordId,
  recordIdOf,
  type UserId,
} from '../../shared/names.js';
import { fieldsProblem, wellFormed } from '../../shared/record-fields.js';
import { SyncError } from '../errors.js';
import { readTimestamp } from './timestamp.js';
import { VALUE_DEPTH_CEILING } from './values.js';

/** In characters. */
const MAX_ACK = 256;
const NO_TIME = 'must be a time: ms or s since 1970, or ISO 8601';
const timestamp = z
  .union([z.number(), z.string()], NO_TIME)
  .nullish()
  .transform((value, context) => {
    const at = value == null ? null : readTimestamp(value);
    if (at !== undefined) return at;
    context.addIssue({ code: 'custom', message: NO_TIME });
    return z.NEVER;
  });
/** What is left out is that of the connection, or of the request (L12). */
const envelope = {
  userId: z.string().nullish(),
  deviceId: z.string().nullish(),
  ack: z.string().max(MAX_ACK).optional(),
  timestamp,
};

const schemas = {
  DATA_UPDATE: z.object({
    ...envelope,
    type: z.literal('DATA_UPDATE'),
    data: z.object({
      collection: z.string(),
      document: z.custom<JsonObject>(isObject, 'must be an object'),
      timestamp,
    }),
  }),
  DATA_DELETE: z.object({
    ...envelope,
    type: z.literal('DATA_DELETE'),
    data: z.object({
      collection: z.string(),
      documentId: z.union([z.string(), z.number()], 'must be a string or a number'),
      timestamp,
    }),
  }),
  // Its time only helps to know the device's clock: a bad one is no reason to refuse.
  REQUEST_SYNC: z.object({
    ...envelope,
    type: z.literal('REQUEST_SYNC'),
    timestamp: timestamp.catch(null),
  }),
};

interface Envelope {
  readonly ack: string | undefined;
  /** When the device says that it sent the message, in ms since 1970; queues store an older time. */
  readonly sentAt: number | null;
}

interface Target extends Envelope {
  readonly collection: CollectionName;
  readonly id: RecordId;
  /** When the change was made, by the clock of the device, in ms since 1970. */
  readonly madeAt: number | null;
}

/** A record that a device writes. */
interface Update extends Target {
  readonly type: 'DATA_UPDATE';
  /** With U+FFFD for each half of a character, as it will be on disk (D6). */
  readonly document: JsonObject;
  /** What the device itself has now. */
  readonly sent: JsonObject;
  /** Names that no new record may have; each has to be one that the document has already. */
  readonly oddNames: readonly OddName[];
}

interface OddName {
  readonly name: string;
  /** A sentence. */
  readonly problem: string;
}

/** A message of a JSON device, checked: names are allowed, depth is within the limit, the user is the right one. */
export type JsonMessage =
  | Update
  | (Target & { readonly type: 'DATA_DELETE' })
  | (Envelope & { readonly type: 'REQUEST_SYNC' });

/** A message that changes a record. */
export type ChangeMessage = Exclude<JsonMessage, { type: 'REQUEST_SYNC' }>;

export interface MessageLimits {
  readonly maxDepth: number;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SyncError('INVALID_JSON');
  }
}

/** The `ack` of what may be a bad message otherwise; `undefined` where it has none that could be sent back. */
export function ackOf(value: unknown): string | undefined {
  const ack = isObject(value) ? value.ack : undefined;
  return typeof ack === 'string' && ack.length <= MAX_ACK ? ack : undefined;
}

/**
 * Checks a message that is already JSON.
 *
 * @throws SyncError that says what is wrong with it, never what is in it
 */
export function checkMessage(value: unknown, user: UserId, limits: MessageLimits): JsonMessage {
  const type = isObject(value) ? value.type : undefined;
  if (type !== 'DATA_UPDATE' && type !== 'DATA_DELETE' && type !== 'REQUEST_SYNC')
    throw new SyncError('UNKNOWN_TYPE');
  const parsed = schemas[type].safeParse(value);
  if (!parsed.success) throw new SyncError('INVALID_MESSAGE', whatIsWrong(parsed.error));
  const message = parsed.data;
  if ((message.userId ?? user) !== user) throw new SyncError('WRONG_USER');
  const { ack, timestamp: sentAt } = message;
  if (message.type === 'REQUEST_SYNC') return { type: message.type, ack, sentAt };
  const oddNames: OddName[] = [];
  const collection = checkCollection(message.data.collection, oddNames);
  const madeAt = message.data.timestamp;
  if (message.type === 'DATA_DELETE') {
    const id = checkId(message.data.documentId, oddNames);
    return { type: message.type, collection, id, madeAt, ack, sentAt };
  }
  const { document: sent } = message.data;
  const id = checkId(sent.id, oddNames);
  checkFields(sent, limits.maxDepth, oddNames);
  const document = wellFormed(sent);
  return { type: message.type, collection, id, document, sent, oddNames, madeAt, ack, sentAt };
}

/**
 * Refuses names that may only stay where they are; deleting what is not there is no error.
 *
 * @param knows whether the document has a name already
 */
export function refuseNewNames(message: JsonMessage, knows: (name: string) => boolean): void {
  if (message.type !== 'DATA_UPDATE') return;
  const unknown = message.oddNames.find(({ name }) => !knows(name));
  if (unknown !== undefined) throw new SyncError('INVALID_NAME', unknown.problem);
}

function whatIsWrong(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'The message is not valid.';
  const problem = issue.message.endsWith('received undefined') ? 'is missing' : issue.message;
  return `${issue.path.join('.') || 'message'}: ${problem}`;
}

function checkCollection(name: string, oddNames: OddName[]): CollectionName {
  checkName(name, 'The collection name', isCollectionName(name), oddNames);
  return name as CollectionName;
}

function checkId(value: unknown, oddNames: OddName[]): RecordId {
  const id = recordIdOf(value);
  if (typeof value === 'string') checkName(value, 'The record id', id !== null, oddNames);
  if (id !== null) return id;
  const problem = value === undefined ? 'is missing' : 'is not a string or a safe integer';
  throw new SyncError('INVALID_NAME', `The record id ${problem}.`);
}

/** @param canStay whether a document may have it from before */
function checkName(name: string, what: string, canStay: boolean, oddNames: OddName[]): void {
  const wrong = nameProblem(name);
  if (wrong === null) return;
  const problem = `${what} ${wrong}.`;
  if (!canStay || !isWellFormed(name)) throw new SyncError('INVALID_NAME', problem);
  oddNames.push({ name, problem });
}

function checkFields(document: JsonObject, maxDepth: number, oddNames: OddName[]): void {
  const deepest = Math.min(maxDepth, VALUE_DEPTH_CEILING); // Yjs integrates and deletes by recursion
  const noteOdd = (name: string): boolean => {
    oddNames.push({ name, problem: `A field name ${nameProblem(name)}.` });
    return true;
  };
  const problem = fieldsProblem(document, deepest, noteOdd);
  if (problem !== null) throw new SyncError(problem.code, problem.message);
}

/** Whether the device has, after what it sent, the very record that there is; otherwise it needs a correction (L3). */
export function isAnswered(message: ChangeMessage, record: JsonRecord | null): boolean {
  if (message.type === 'DATA_DELETE') return record === null;
  return record !== null && equalityDeep(record, message.sent);
}

/** The device that a correction by the server names as its author (L3). */
export const SERVER_DEVICE = 'server' as DeviceId;

/** Messages to JSON devices, as text. Timestamps are ms since 1970. */
export const jsonMessages = {
  /** What stands before the records, and behind them. */
  fullSync: (now: number) => ({ before: '{"type":"FULL_SYNC","data":', behind: `,"timestamp":${now}}` }),
  connectionConfirmed: (userId: UserId, deviceId: DeviceId, now: number) =>
    JSON.stringify({ type: 'CONNECTION_CONFIRMED', userId, deviceId, timestamp: now }),
  dataUpdate: (collection: CollectionName, document: JsonRecord, fromDevice: DeviceId, now: number) =>
    JSON.stringify({ type: 'DATA_UPDATE', data: { collection, document }, timestamp: now, fromDevice }),
  dataDelete: (collection: CollectionName, documentId: RecordId, fromDevice: DeviceId, now: number) =>
    JSON.stringify({ type: 'DATA_DELETE', data: { collection, documentId }, timestamp: now, fromDevice }),
  ack: (ack: string) => JSON.stringify({ type: 'ACK', ack }),
  error: ({ code, message }: SyncError, ack?: string) =>
    JSON.stringify({ type: 'ERROR', code, message, ack }),
};
