/** Full sync and batches of changes for devices without a socket (H1, H2). */
import { crc32 } from 'node:zlib';
import type { Request, Response } from 'express';
import type * as Y from 'yjs';
import { SyncError } from '../../shared/errors.js';
import type { UserId } from '../../shared/names.js';
import { type ChangeMessage, checkMessage, isAnswered } from '../../shared/protocol/json.js';
import { type Collections, isObject, type JsonRecord, readRecord, recordMap } from '../../shared/records.js';
import type { Author } from '../documents/device-key.js';
import { growthOfDeletion, growthOfRecord } from '../documents/document-room.js';
import type { HttpDeviceView } from '../documents/http-device-view.js';
import { applyMessage, neededFrom } from '../documents/json-changes.js';
import type { Judged } from '../documents/judged.js';
import { keyOf } from '../documents/record-key.js';
import type { UserDocument } from '../documents/user-document.js';
import {
  authorOf,
  charge,
  type HttpOptions,
  inOrder,
  mustWrite,
  namedDevice,
  visitorOf,
  withDocument,
} from './http-request.js';

const MAX_CHANGES = 1_000;

/** All records, with an ETag of the revision that they show (H1). */
export async function getSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const isNamed = namedDevice(request) !== null;
  const author = authorOf(request, options.newDeviceId);
  await withDocument(options, request, 'read', async (document) => {
    const view = isNamed ? document.devices.overHttp(author) : null;
    const answer = await inOrder(document, () => answerOf(options, document, view, request));
    document.saveDevices('urgent');
    await sendCollections(document, answer, response);
  });
}

/** Applies a list of changes in one atomic batch, then answers like GET (H2). */
export async function postSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const changes = readChanges(request.body, visitorOf(request).user, options.config.maxDepth);
  charge(options, request, changes.length);
  if (changes.length > 0) mustWrite(request);
  const isNamed = namedDevice(request) !== null;
  const author = authorOf(request, options.newDeviceId);
  const action = changes.length > 0 ? 'write' : 'read';
  await withDocument(options, request, action, async (document) => {
    const view = document.devices.overHttp(author, isNamed);
    confirm(options, document, view, request);
    const needed = changes.map((each, index) => {
      const judged = view.judge(each, options.now());
      document.erased?.checkWrite(judged, index);
      return neededFrom(document.doc, each, judged);
    });
    const apply = () => {
      applyBatch(document, changes, view, author, options.now());
      const answer = answerOf(options, document, isNamed ? view : null, null);
      document.saveDevices('urgent');
      return answer;
    };
    await sendCollections(document, await inOrder(document, apply, Math.min(...needed)), response);
  });
}

/** Each change is compared with what the device may have been looking at, the ones before it included (L4–L9). */
function applyBatch(
  document: UserDocument,
  changes: readonly ChangeMessage[],
  view: HttpDeviceView,
  author: Author,
  now: number,
): void {
  mustFit(document, changes);
  const applied: [ChangeMessage, Judged][] = [];
  const made = new Map<string, number>();
  const entries = document.write(
    { via: 'http', ...author, member: null },
    (doc) => {
      for (const message of changes) {
        const judged = view.judge(message, now);
        applyMessage(doc, message, currentOf(doc, message), judged, document.history);
        view.applied(message, judged, document.revision);
        applied.push([message, judged]);
        if (judged.madeAt !== null) made.set(keyOf(message), judged.madeAt);
      }
    },
    made,
  );
  for (const [message, judged] of applied) {
    const record = document.record(message);
    const revision = entries.find((entry) => keyOf(entry) === keyOf(message))?.revision ?? null;
    const outcome = { revision, record, corrected: !isAnswered(message, record) };
    view.wrote(message, judged, outcome, document.revision);
  }
  document.saveDevices('urgent'); // in one batch with the changes
}

/** All of a batch, or nothing. */
function mustFit(document: UserDocument, changes: readonly ChangeMessage[]): void {
  const sum = { bytes: 0, structs: 0 };
  for (const [index, message] of changes.entries()) {
    const current = document.record(message);
    const isUpdate = message.type === 'DATA_UPDATE';
    const growth = isUpdate ? growthOfRecord(current, message.document) : growthOfDeletion(current);
    sum.bytes += growth.bytes;
    sum.structs += growth.structs;
    if (isUpdate) document.room.mustTake(sum, index);
  }
}

function currentOf(doc: Y.Doc, { collection, id }: ChangeMessage): JsonRecord | null {
  const map = recordMap(doc, collection, id);
  return map === null ? null : readRecord(map, id);
}

interface Answer {
  readonly etag: string;
  /** `null` for who has it already. */
  readonly body: Collections | null;
}

/** What a named device is sent, and what it says that it has, is remembered (L4). */
function answerOf(
  options: HttpOptions,
  document: UserDocument,
  view: HttpDeviceView | null,
  request: Request | null,
): Answer {
  const etag = etagOf(document);
  if (view !== null) {
    if (request !== null) confirm(options, document, view, request);
    view.sent(document.revision, options.now());
  }
  const known = tagsOf(request);
  return { etag, body: known.includes(etag) || known.includes('*') ? null : document.collections() };
}

async function sendCollections(document: UserDocument, answer: Answer, response: Response): Promise<void> {
  await document.durable();
  response.set({ ETag: answer.etag, 'Cache-Control': 'private, no-cache' });
  if (answer.body === null) response.status(304).end();
  else response.json(answer.body);
}

/**
 * The revision, and a mark of the content: after a restored backup, the same revision can stand for another one.
 */
function etagOf(document: UserDocument): string {
  return `"${document.revision}.${crc32(document.stateVector()).toString(36)}"`;
}

const tagsOf = (request: Request | null): string[] =>
  (request?.get('If-None-Match') ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));

/** The ETag that a request brings along says what its device has. */
function confirm({ now }: HttpOptions, document: UserDocument, view: HttpDeviceView, request: Request): void {
  const current = etagOf(document);
  const known = tagsOf(request).flatMap((tag) => {
    const revision = Number(/^"(\d{1,15})\.[0-9a-z]+"$/.exec(tag)?.[1] ?? -1);
    // One of another content is from before a backup was restored.
    const isKnown = revision < document.revision || tag === current;
    return revision >= 0 && isKnown && !document.erased?.covers(revision) ? [revision] : [];
  });
  if (known.length > 0) view.confirmed(Math.max(...known), now());
}

function readChanges(body: unknown, user: UserId, maxDepth: number): ChangeMessage[] {
  const changes = isObject(body) ? body.changes : undefined;
  if (!Array.isArray(changes))
    throw new SyncError('INVALID_MESSAGE', 'changes: must be an array of messages');
  if (changes.length > MAX_CHANGES) {
    throw new SyncError('INVALID_MESSAGE', `changes: must have at most ${MAX_CHANGES} messages`);
  }
  return changes.map((change, index) => {
    try {
      const message = checkMessage(change, user, { maxDepth });
      if (message.type === 'REQUEST_SYNC') throw new SyncError('UNKNOWN_TYPE');
      return message;
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      throw new SyncError(error.code, error.message, { index });
    }
  });
}
