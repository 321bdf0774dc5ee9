/** Messages of JSON devices: one schema each, parsed once at the door (L10). */
import { equalityDeep } from 'lib0/function';
import { z } from 'zod';
import { SyncError } from '../errors.js';
import {
  type CollectionName,
  type DeviceId,
  isCollectionName,
  nameProblem,
  type RecordId,
  recordIdOf,
  type UserId,
} from '../names.js';
import { fieldsProblem } from '../record-fields.js';
import { type Collections, isObject, type JsonObject, type JsonRecord } from '../records.js';
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

/** A message of a JSON device, checked: names are allowed, depth is within the limit, the user is the right one. */
export type JsonMessage =
  | (Target & { readonly type: 'DATA_UPDATE'; readonly document: JsonObject })
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
  const envelope = { ack: message.ack, sentAt: message.timestamp };
  if (message.type === 'REQUEST_SYNC') return { type: message.type, ...envelope };
  const collection = checkCollection(message.data.collection);
  const madeAt = message.data.timestamp;
  if (message.type === 'DATA_DELETE') {
    const id = checkId(message.data.documentId);
    return { type: message.type, collection, id, madeAt, ...envelope };
  }
  const { document } = message.data;
  const id = checkId(document.id);
  checkFields(document, limits.maxDepth);
  return { type: message.type, collection, id, document, madeAt, ...envelope };
}

function whatIsWrong(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'The message is not valid.';
  const problem = issue.message.endsWith('received undefined') ? 'is missing' : issue.message;
  return `${issue.path.join('.') || 'message'}: ${problem}`;
}

function checkCollection(name: string): CollectionName {
  if (isCollectionName(name)) return name;
  throw new SyncError('INVALID_NAME', `The collection name ${nameProblem(name)}.`);
}

function checkId(value: unknown): RecordId {
  const id = recordIdOf(value);
  if (id !== null) return id;
  const problem = typeof value === 'string' ? nameProblem(value) : 'is not a string or a safe integer';
  throw new SyncError('INVALID_NAME', `The record id ${value === undefined ? 'is missing' : problem}.`);
}

function checkFields(document: JsonObject, maxDepth: number): void {
  const deepest = Math.min(maxDepth, VALUE_DEPTH_CEILING); // Yjs integrates and deletes by recursion
  const problem = fieldsProblem(document, deepest);
  if (problem !== null) throw new SyncError(problem.code, problem.message);
}

/** Whether the device has, after what it sent, the very record that there is; otherwise it needs a correction (L3). */
export function isAnswered(message: ChangeMessage, record: JsonRecord | null): boolean {
  if (message.type === 'DATA_DELETE') return record === null;
  return record !== null && equalityDeep(record, message.document);
}

/** The device that a correction by the server names as its author (L3). */
export const SERVER_DEVICE = 'server' as DeviceId;

/** Messages to JSON devices, as text. Timestamps are ms since 1970. */
export const jsonMessages = {
  fullSync: (data: Collections, now: number) => JSON.stringify({ type: 'FULL_SYNC', data, timestamp: now }),
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
