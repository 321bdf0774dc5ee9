import type { Request, Response } from 'express';
import { inOrder } from '../../documents/in-order.js';
import type { ReceiveResult } from '../../documents/intake/intake.js';
import { type MadeAt, SenderClock } from '../../documents/later-wins/made-at.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import { hasGone } from '../../net/gone.js';
import { decodeExchange, type Exchange, encodeExchange } from '../../protocol/exchange.js';
import { decodeStateVector } from '../../protocol/yjs.js';
import { asksForEpochIn, takesRewritesIn } from '../guard/request-names.js';
import { packed } from './compression.js';
import { arrivalOf, charge, grantOf, type HttpOptions, noteSeen, originOf, withDocument } from './request.js';

const NOTHING = new Uint8Array(0);
const NOTHING_NEW: ReceiveResult = { missing: null };

/** Takes an update, gives what the sender lacks; for background sync (H3). */
export async function postYjs(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const { mayWrite } = grantOf(request);
  const origin = originOf(request, options.newDeviceId);
  const body = Buffer.isBuffer(request.body) ? new Uint8Array(request.body) : new Uint8Array(0);
  const exchange = decodeExchange(body);
  const { stateVector } = exchange;
  const given = changesOf(exchange, arrivalOf(request) ?? options.now());
  charge(options, request, exchange.timed?.changes.length ?? 0);
  if (!takesRewritesIn(request.originalUrl)) options.registry.notePlainVisit(grantOf(request).user);
  const action = mayWrite && given.length > 0 ? 'write' : 'read';
  await withDocument(options, request, action, async (document) => {
    const saw = stateVector.length > 0 ? decodeStateVector(stateVector) : null;
    if (saw !== null) await inOrder(document, () => document.checkStateVector(saw));
    for (const { update, madeAt } of given) {
      const { tried } = await inOrder(document, () => {
        if (!mayWrite) return refuseNews(document, update);
        const result = document.receive(origin, update, saw, madeAt);
        if (result.missing !== null) throw new SyncError('MISSING_DEPENDENCIES');
        return result;
      });
      await tried;
      await new Promise((resolve) => setImmediate(resolve)); // others have their turn
    }
    const { revision, ...answer } = await answerTo(document, stateVector, {
      withEpoch: asksForEpochIn(request.originalUrl),
      isWanted: () => !hasGone(response),
    });
    await document.durable();
    response.type('application/octet-stream');
    const send = await packed(options, request, response, Buffer.from(encodeExchange(answer)));
    noteSeen(options, request, response, { revision, hasSent: given.length > 0 });
    send();
  });
}

interface Answer extends Exchange {
  /** Which it shows at least. */
  readonly revision: number;
}

interface Asked {
  readonly withEpoch: boolean;
  readonly isWanted: () => boolean;
}

/** What there is, and what of it who has this lacks, of one document: of another one, where it was replaced meanwhile. */
async function answerTo(document: UserDocument, stateVector: Uint8Array, asked: Asked): Promise<Answer> {
  const { withEpoch, isWanted } = asked;
  // A union that failed has left a document that must not be read before it is rebuilt.
  const { doc, diff, ...answer } = await inOrder(document, () => {
    if (stateVector.length > 0) document.checkStateVector(decodeStateVector(stateVector));
    return {
      doc: document.doc,
      revision: document.revision,
      diff: stateVector.length > 0 ? document.diffInSteps(stateVector, isWanted) : NOTHING,
      stateVector: document.stateVector(),
      epoch: withEpoch ? document.epoch?.encode() : undefined,
    };
  });
  const update = await diff;
  return document.doc === doc ? { ...answer, update } : answerTo(document, stateVector, asked);
}

/** What is given, in the order in which it is to be applied; the times by the server's clock. */
function changesOf({ update, timed }: Exchange, arrivedAt: number): { update: Uint8Array; madeAt: MadeAt }[] {
  const clock = new SenderClock();
  if (timed !== undefined) clock.hear(timed.sentAt, arrivedAt);
  const changes = (timed?.changes ?? []).map(({ update, madeAt }) => ({
    update,
    madeAt: madeAt === null ? null : clock.correct(madeAt, arrivedAt),
  }));
  return update.length > 0 ? [...changes, { update, madeAt: null }] : changes;
}

/** What brings nothing new is no offence (N7). */
function refuseNews(document: UserDocument, update: Uint8Array): ReceiveResult {
  if (document.wouldChange(update)) throw new SyncError('READ_ONLY');
  return NOTHING_NEW;
}
