/** The history of a user's records, and bringing one back (H6). */
import type { Request, Response } from 'express';
import { z } from 'zod';
import { isCollectionName, isRecordId, recordIdOf, SHARED_DOCUMENT } from '../../../shared/names.js';
import { bringBack } from '../../documents/bring-back.js';
import type { Origin } from '../../documents/changes.js';
import { pageJson } from '../../documents/export.js';
import type { HistoryQuery } from '../../documents/history/history-log.js';
import { inOrder } from '../../documents/in-order.js';
import type { RecordKey } from '../../documents/records/record-key.js';
import type { UserDocument } from '../../documents/user-document.js';
import { sendBody, sendJson } from './compression.js';
import {
  durableHead,
  grantOf,
  type HttpOptions,
  mustWrite,
  originOf,
  read,
  withDocument,
} from './request.js';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;

const whole = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number')
  .transform(Number);
const collection = z.string().refine(isCollectionName, 'is not a name');
const recordId = z.string().refine(isRecordId, 'is not an id');

const querySchema = z.object({
  collection: collection.nullable().default(null),
  id: recordId.nullable().default(null),
  limit: whole
    .refine((n) => n >= 1 && n <= MAX_LIMIT, `must be from 1 to ${MAX_LIMIT}`)
    .default(DEFAULT_LIMIT),
  before: whole.nullable().default(null),
});

const restoreSchema = z.object({
  collection,
  id: z.union([z.string(), z.number()]).transform((id, context) => {
    const key = recordIdOf(id);
    if (key === null) context.addIssue({ code: 'custom', message: 'is not an id' });
    return key ?? z.NEVER;
  }),
  revision: z.number().int().nonnegative(),
});

/** Changes of records, newest first, a page at a time. */
export async function getHistory(options: HttpOptions, request: Request, response: Response): Promise<void> {
  // It names the people who change the shared collections.
  if (grantOf(request).user === SHARED_DOCUMENT) mustWrite(request);
  const query = historyQueryIn(request);
  await withDocument(options, request, 'history', async (document) => {
    response.set('Cache-Control', 'private, no-store');
    await sendBody(options, request, response.type('json'), await pageOf(document, query));
  });
}

export const historyQueryIn = (request: Request): HistoryQuery => read(querySchema, request.query);

/** As JSON. */
export async function pageOf(document: UserDocument, query: HistoryQuery): Promise<Buffer> {
  const { entries, next } = await document.historyLog.page(await durableHead(document), query);
  return pageJson(entries, next);
}

/** Brings a record back as it was after a revision, as a new change. */
export async function postRestore(options: HttpOptions, request: Request, response: Response): Promise<void> {
  mustWrite(request);
  const origin: Origin = { ...originOf(request, options.newDeviceId), via: 'restore' };
  const wanted = restoreIn(request);
  await withDocument(options, request, 'restore', async (document) => {
    await sendJson(options, request, response, await restore(document, origin, wanted));
  });
}

/** A record, and the revision that it is to be as it was after. */
interface Wanted extends RecordKey {
  readonly revision: number;
}

export const restoreIn = (request: Request): Wanted => read(restoreSchema, request.body);

/** Resolves with the record as it is then, once that is durable. */
export async function restore(document: UserDocument, origin: Origin, wanted: Wanted): Promise<object> {
  const image = await document.historyLog.imageAt(await durableHead(document), wanted, wanted.revision);
  const restored = await inOrder(document, () => {
    bringBack(document, origin, wanted, image);
    return {
      collection: wanted.collection,
      document: document.record(wanted),
      revision: document.revision,
    };
  });
  await document.durable();
  return restored;
}
