/** Full sync and batches of changes for devices without a socket (H1, H2). */
import type { Request, Response } from 'express';
import type { Collections } from '../../../shared/json.js';
import type { Origin } from '../../documents/changes.js';
import type { RequestView } from '../../documents/json-devices/request-view.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import { openShared, type SharedAccess, withoutShared } from '../guard/shared-access.js';
import { Batch, type Item, readChanges } from './batch.js';
import { sendJson } from './compression.js';
import {
  charge,
  grantOf,
  type HttpOptions,
  inOrder,
  mustWrite,
  namedDevice,
  originOf,
  withDocument,
} from './request.js';
import { confirmedBy, etagOf, tagPartOf, tagsOf } from './tags.js';

/** All records, with an ETag of the revisions that they show (H1). */
export async function getSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const isNamed = namedDevice(request) !== null;
  const origin = originOf(request, options.newDeviceId);
  await withDocuments(options, request, 'read', async (document, shared) => {
    const view = isNamed ? document.devices.overHttp(origin) : null;
    const sharedView = isNamed && shared !== null ? viewOf(shared, origin) : null;
    const answer = await inOrder(document, () => {
      confirm(view, confirmedBy(request, document, 'own'), options);
      if (sharedView !== null)
        confirm(sharedView.view, confirmedBy(request, sharedView.document, 'shared'), options);
      return answerOf(options, document, view);
    });
    document.saveDevices('urgent');
    const known = tagsOf(request);
    await send(options, request, response, { ...answer, document, shared, sharedView, known });
  });
}

/** Applies a list of changes, those of each document in one atomic batch, then answers like GET (H2). */
export async function postSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const { config, now } = options;
  const items = readChanges(request.body, grantOf(request).user, config.maxDepth);
  const isShared = ({ message }: Item): boolean => config.sharedCollections.has(message.collection);
  const [own, everybodys] = [items.filter((item) => !isShared(item)), items.filter(isShared)];
  charge(options, request, items.length);
  if (own.length > 0) mustWrite(request);
  const isNamed = namedDevice(request) !== null;
  const origin = originOf(request, options.newDeviceId);
  const action = own.length > 0 ? 'write' : 'read';
  await withDocuments(options, request, action, async (document, shared) => {
    mustTake(shared, everybodys);
    const view = document.devices.overHttp(origin, isNamed);
    const sharedView = shared === null ? null : viewOf(shared, origin, isNamed);
    const batch = new Batch(document, origin, view, own);
    confirm(view, confirmedBy(request, document, 'own'), options);
    const from = batch.neededFrom(now());
    if (sharedView !== null) {
      const theirs = new Batch(sharedView.document, sharedView.origin, sharedView.view, everybodys);
      confirm(sharedView.view, confirmedBy(request, sharedView.document, 'shared'), options);
      const apply = (): void => {
        for (const each of [theirs, batch]) each.mustFit();
        if (everybodys.length > 0) theirs.apply(now());
      };
      await inOrder(sharedView.document, apply, theirs.neededFrom(now()));
    }
    const answer = await inOrder(
      document,
      () => {
        batch.mustFit();
        batch.apply(now());
        const shown = answerOf(options, document, isNamed ? view : null);
        document.saveDevices('urgent'); // what it was sent
        return shown;
      },
      from,
    );
    await sharedView?.document.durable();
    await send(options, request, response, {
      ...answer,
      document,
      shared,
      sharedView: isNamed ? sharedView : null,
      known: [],
    });
  });
}

/** The document of the user and the shared one, while the request lasts. */
async function withDocuments(
  options: HttpOptions,
  request: Request,
  action: 'read' | 'write',
  use: (document: UserDocument, shared: SharedAccess | null) => Promise<void>,
): Promise<void> {
  await withDocument(options, request, action, async (document) => {
    const shared = await openShared(options, grantOf(request));
    try {
      await use(document, shared);
    } finally {
      shared?.release();
    }
  });
}

/** Whether the changes of shared collections may be made at all. */
function mustTake(shared: SharedAccess | null, [first]: readonly Item[]): void {
  if (first === undefined || shared === null) return;
  const { index } = first;
  if (shared.readOnly) throw new SyncError('READ_ONLY', undefined, { index });
  if (shared.records === null) throw new SyncError('DOCUMENT_CORRUPT', undefined, { index });
}

/** The shared document as a device sees it that may write there. */
interface SharedView {
  readonly document: UserDocument;
  readonly origin: Origin;
  readonly view: RequestView;
}

function viewOf({ records, readOnly, actor }: SharedAccess, asOwn: Origin, keep = true): SharedView | null {
  if (records === null || readOnly) return null;
  const { document } = records;
  const origin = { ...asOwn, actor };
  return { document, origin, view: document.devices.overHttp(origin, keep) };
}

interface Answer {
  /** The part of the tag that stands for the user's document. */
  readonly part: string;
  readonly own: Collections;
}

/** What a named device is sent is remembered (L4). */
function answerOf({ now }: HttpOptions, document: UserDocument, view: RequestView | null): Answer {
  view?.sent(document.revision, now());
  return { part: tagPartOf(document), own: document.collections() };
}

/** What a named device says that it has is remembered. */
function confirm(view: RequestView | null, revision: number | null, { now }: HttpOptions): void {
  if (revision !== null) view?.confirmed(revision, now());
}

interface Sending extends Answer {
  readonly document: UserDocument;
  readonly shared: SharedAccess | null;
  readonly sharedView: SharedView | null;
  /** Tags of what need not be sent again. */
  readonly known: readonly string[];
}

/** The shared collections are shown as they are durable by then. */
async function send(
  options: HttpOptions,
  request: Request,
  response: Response,
  { document, shared, sharedView, own, part, known }: Sending,
): Promise<void> {
  await document.durable();
  const records = shared?.records ?? null;
  const etag = etagOf(part, records === null ? null : tagPartOf(records.document, records.revision));
  if (records !== null) sharedView?.view.sent(records.revision, options.now());
  // What a client knows by a weak tag it hears of by that tag.
  const named = [etag, `W/${etag}`].find((tag) => known.includes(tag));
  response.set({ ETag: named ?? etag, 'Cache-Control': 'private, no-cache' });
  if (named !== undefined || known.includes('*')) response.vary('Accept-Encoding').status(304).end();
  else {
    const everybodys = records?.of(shared?.collections ?? []);
    await sendJson(options, request, response, { ...withoutShared(own, shared), ...everybodys });
  }
}
