/** Full sync and batches of changes for devices without a socket (H1, H2). */
import type { Request, Response } from 'express';
import type { Origin } from '../../documents/changes.js';
import { inOrder } from '../../documents/in-order.js';
import type { RequestView } from '../../documents/json-devices/request-view.js';
import type { RecordTexts } from '../../documents/records/record-texts.js';
import { RecordsView } from '../../documents/records/records-view.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import { whenKnown, whenShown } from '../../documents/sleep/when-shown.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import { hasGone, whenGone } from '../../net/gone.js';
import { openShared, type SharedAccess } from '../guard/shared-access.js';
import { Batch, type Item, readChanges } from './batch.js';
import { packed } from './compression.js';
import {
  charge,
  grantOf,
  type HttpOptions,
  mustWrite,
  namedDevice,
  noteSeen,
  originOf,
  withDocument,
  withFollowed,
} from './request.js';
import { confirmedBy, etagOf, mayHave, tagPartOf, tagsOf } from './tags.js';

/** All records, with an ETag of the revisions that they show (H1). Of a document that sleeps nothing is loaded. */
export async function getSync(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const origin = originOf(request, options.newDeviceId);
  await withFollowed(options, request, (document) =>
    withShared(options, request, async (shared) => {
      const isWanted = () => !hasGone(response);
      const asking = { request, document, origin: namedDevice(request) === null ? null : origin, isWanted };
      const sharedView =
        asking.origin !== null && shared !== null ? viewOf(shared, origin, options.now(), 'reader') : null;
      const known = tagsOf(request);
      const parts = { document, shared, sharedView, known };
      const answer = async (which: 'new' | 'all'): Promise<boolean> => {
        const taken = await take(options, asking, which);
        try {
          document.saveDevices('urgent');
          return await send(options, request, response, { ...parts, ...taken });
        } finally {
          taken.view?.endAnswer();
        }
      };
      await whileAnswering([sharedView?.view], async () => {
        if (sharedView !== null) {
          const { view, document: everybodys } = sharedView;
          await inOrder(everybodys, () => {
            confirm(view, confirmedBy(request, everybodys, 'shared'), options);
            noteAsked(sharedView, options);
          });
          await everybodys.durable();
        }
        // Of the two documents, only the own one may be as the device has it.
        if (!(await answer('new'))) await answer('all');
      });
    }),
  );
}

interface Asking {
  readonly request: Request;
  readonly document: FollowedDocument;
  /** `null`: the device did not name itself. */
  readonly origin: Origin | null;
  readonly isWanted: () => boolean;
}

/** What is shown, of one moment; the records are left out where the device may have them. */
function take(options: HttpOptions, asking: Asking, which: 'new' | 'all' = 'new'): Promise<Answer> {
  const { document, origin, request, isWanted } = asking;
  return new Promise((resolve, reject) => {
    const go = (): void => {
      const view = origin === null ? null : document.devices.readOverHttp(origin, options.now());
      confirm(view, confirmedBy(request, document, 'own'), options);
      // From here on it stays known, though its document should be let go before the records are made.
      view?.beginAnswer();
      const failed = (error: SyncError): void => {
        view?.endAnswer();
        reject(error);
      };
      const shown = (own: RecordsView | null): void => {
        const { revision } = document;
        view?.device.asked(revision, options.now()); // durable before the answer
        resolve({ part: tagPartOf(document), own, revision, view });
      };
      if (which === 'new' && mayHave(request, tagPartOf(document))) shown(null);
      else whenShown(document, shown, failed, isWanted);
    };
    document.enter(() => (origin === null ? go() : whenKnown(document, origin, go, reject)));
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
  await withDocuments(options, request, own.length > 0 ? 'write' : 'read', async (document, shared) => {
    mustTake(shared, everybodys);
    const { devices } = document;
    const reads = isNamed && own.length === 0 ? devices.readOverHttp(origin, now()) : null;
    const view = reads ?? devices.overHttp(origin, now(), isNamed && own.length > 0);
    const reader = isNamed ? 'reader' : 'nobody';
    const who = isNamed && everybodys.length > 0 ? 'writer' : reader;
    const sharedView = shared === null ? null : viewOf(shared, origin, now(), who);
    const batch = new Batch(document, origin, view, own);
    // In its turn: what is half written has no tag, and no size.
    const look = (): number => {
      confirm(view, confirmedBy(request, document, 'own'), options);
      const from = batch.neededFrom(now());
      batch.mustFit();
      return from;
    };
    await whileAnswering([view, sharedView?.view], async () => {
      if (sharedView !== null) {
        await inOrder(document, look); // whether all of it may be made, before any of it is
        await applyTheirs(options, request, sharedView, everybodys);
      }
      await inOrder(document, () => batch.apply(now(), isNamed), look);
      // One that has gone gets no answer; what it sent is saved all the same, or on a bad line it would never be.
      const texts = await document.writeRecords(() => !hasGone(response));
      const answer = await inOrder(document, () => {
        if (isNamed) view.device.asked(document.revision, now()); // with what others wrote meanwhile
        document.saveDevices('urgent');
        return shownBy(document, texts, isNamed ? view : null);
      });
      await sharedView?.document.durable();
      const theirs = isNamed ? sharedView : null;
      const parts = { document, shared, known: [], hasSent: items.length > 0, sharedView: theirs };
      await send(options, request, response, { ...answer, ...parts });
    });
  });
}

/** While it is made, and waits for the disk, an answer may be what the server ends with. */
async function whileAnswering(
  views: readonly (RequestView | undefined)[],
  answer: () => Promise<void>,
): Promise<void> {
  for (const view of views) view?.beginAnswer();
  try {
    await answer();
  } finally {
    for (const view of views) view?.endAnswer();
  }
}

/** An answer goes out, until what is returned is called. */
function goingOut(views: readonly (RequestView | null | undefined)[]): () => void {
  for (const view of views) view?.goesOut();
  return () => {
    for (const view of views) view?.hasGone();
  };
}

/** The changes of shared collections, if there are any. */
async function applyTheirs(
  options: HttpOptions,
  request: Request,
  sharedView: SharedView,
  items: readonly Item[],
): Promise<void> {
  const { now } = options;
  const { document, origin, view, isNamed } = sharedView;
  const batch = new Batch(document, origin, view, items);
  const look = (): number => {
    confirm(view, confirmedBy(request, document, 'shared'), options);
    const from = batch.neededFrom(now());
    batch.mustFit();
    return from;
  };
  const apply = () => (items.length > 0 ? batch.apply(now(), isNamed) : noteAsked(sharedView, options));
  await inOrder(document, apply, look);
}

/** The document of the user and the shared one, while the request lasts. */
async function withDocuments(
  options: HttpOptions,
  request: Request,
  action: 'read' | 'write',
  use: (document: UserDocument, shared: SharedAccess | null) => Promise<void>,
): Promise<void> {
  await withDocument(options, request, action, (document) =>
    withShared(options, request, (shared) => use(document, shared)),
  );
}

/** The shared document, while the request lasts. */
async function withShared(
  options: HttpOptions,
  request: Request,
  use: (shared: SharedAccess | null) => Promise<void>,
): Promise<void> {
  const shared = await openShared(options, grantOf(request));
  try {
    await use(shared);
  } finally {
    shared?.release();
  }
}

/** Whether the changes of shared collections may be made at all. */
function mustTake(shared: SharedAccess | null, [first]: readonly Item[]): void {
  if (first === undefined || shared === null) return;
  const { index } = first;
  if (shared.readOnly) throw new SyncError('READ_ONLY', undefined, { index });
  if (shared.records === null) throw new SyncError('DOCUMENT_CORRUPT', undefined, { index });
}

/** The shared document as a device sees it that may write there, and is remembered where it named itself. */
interface SharedView {
  readonly document: UserDocument;
  readonly origin: Origin;
  readonly view: RequestView;
  readonly isNamed: boolean;
}

function viewOf(
  { records, readOnly, actor }: SharedAccess,
  asOwn: Origin,
  now: number,
  who: 'writer' | 'reader' | 'nobody',
): SharedView | null {
  if (records === null || readOnly) return null;
  const { document } = records;
  const { devices } = document;
  const origin = { ...asOwn, actor };
  const isNamed = who !== 'nobody';
  const view = who === 'reader' ? devices.readOverHttp(origin, now) : devices.overHttp(origin, now, isNamed);
  return view && { document, origin, view, isNamed };
}

/** A device that named itself is going to be answered. Returns whether something of that has to be durable before. */
function noteAsked({ document, view, isNamed }: SharedView, { now }: HttpOptions): boolean {
  if (!isNamed) return false;
  const isToMark = view.device.asked(document.revision, now());
  document.saveDevices('urgent');
  return isToMark;
}

interface Answer {
  /** The part of the tag that stands for the user's document. */
  readonly part: string;
  /** `null` where the device may have them. */
  readonly own: RecordsView | null;
  /** Of the user's document, as it is shown. */
  readonly revision: number;
  /** What the device knows of that; `null`: it did not name itself. */
  readonly view: RequestView | null;
}

function shownBy(document: UserDocument, texts: RecordTexts | null, view: RequestView | null): Answer {
  document.rest.noteReader();
  const { revision } = document;
  return { part: tagPartOf(document), own: RecordsView.of(document.collections(), texts), revision, view };
}

/** What a named device says that it has is remembered. */
function confirm(view: RequestView | null, revision: number | null, { now }: HttpOptions): void {
  if (revision !== null) view?.confirmed(revision, now());
}

interface Sending extends Answer {
  readonly document: Pick<UserDocument, 'durable' | 'turns' | 'whenReady'>;
  readonly shared: SharedAccess | null;
  readonly sharedView: SharedView | null;
  /** Tags of what need not be sent again. */
  readonly known: readonly string[];
  /** The request brought changes. */
  readonly hasSent?: boolean;
}

/**
 * The shared collections are shown as they are durable by then. Returns whether it was sent: not where the records are
 * left out, and the device does not have them.
 */
async function send(
  options: HttpOptions,
  request: Request,
  response: Response,
  { document, shared, sharedView, own, part, revision, view, known, hasSent = false }: Sending,
): Promise<boolean> {
  await document.durable();
  // What others wrote there meanwhile is shown as well.
  if (sharedView !== null && noteAsked(sharedView, options)) await sharedView.document.durable();
  const records = shared?.records ?? null;
  const etag = etagOf(part, records === null ? null : tagPartOf(records.document, records.revision));
  // What a client knows by a weak tag it hears of by that tag.
  const named = [etag, `W/${etag}`].find((tag) => known.includes(tag));
  const isKnown = named !== undefined || known.includes('*');
  if (!isKnown && own === null) return false;
  const everybodysRevision = records?.revision ?? null;
  const whole = isKnown ? null : own;
  const leaves = (): void => {
    noteSeen(options, request, response, { revision, hasSent });
    if (hasGone(response)) return; // whoever asked has gone, and gets nothing of it
    view?.sent(revision, options.now(), whole !== null);
    if (everybodysRevision !== null) sharedView?.view.sent(everybodysRevision, options.now(), whole !== null);
  };
  response.set({ ETag: named ?? etag, 'Cache-Control': 'private, no-cache' });
  if (whole === null) {
    leaves();
    response.vary('Accept-Encoding').status(304).end();
  } else {
    const everybodys = records?.view(shared?.collections ?? []);
    const mine = shared === null ? whole : whole.without(shared.collections);
    const all = everybodys === undefined ? mine : mine.with(everybodys);
    const send = await packed(options, request, response.type('json'), all.toJson());
    // What comes from the device, or goes to it, while the body is on its way is not in that either.
    const behind = (task: () => void) => document.turns.behind(() => document.whenReady(task));
    response.once('finish', () => {
      view?.shown(revision, options.now, behind);
      if (everybodysRevision !== null) sharedView?.view.shown(everybodysRevision, options.now, behind);
    });
    whenGone(response, goingOut([view, sharedView?.view]));
    leaves();
    send();
  }
  return true;
}
