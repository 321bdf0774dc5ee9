import type { Request, Response } from 'express';
import { SyncError } from '../../shared/errors.js';
import { decodeExchange, encodeExchange } from '../../shared/protocol/http.js';
import { decodeStateVector } from '../../shared/protocol/yjs.js';
import type { Origin } from '../documents/changes.js';
import type { ReceiveResult } from '../documents/document-options.js';
import type { UserDocument } from '../documents/user-document.js';
import { sendBody } from './http-compression.js';
import { authorOf, type HttpOptions, inOrder, visitorOf, withDocument } from './http-request.js';

const NOTHING_NEW: ReceiveResult = { missing: null };

/** Takes an update, gives what the sender lacks; for background sync (H3). */
export async function postYjs(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const { mayWrite } = visitorOf(request);
  const origin: Origin = { via: 'http', ...authorOf(request, options.newDeviceId), member: null };
  const body = Buffer.isBuffer(request.body) ? new Uint8Array(request.body) : new Uint8Array(0);
  const { stateVector, update } = decodeExchange(body);
  const action = mayWrite && update.length > 0 ? 'write' : 'read';
  await withDocument(options, request, action, async (document) => {
    const { tried } = await inOrder(document, () => {
      const saw = stateVector.length > 0 ? decodeStateVector(stateVector) : null;
      if (saw !== null) document.erased?.checkStateVector(saw);
      if (!mayWrite) return refuseNews(document, update);
      if (update.length === 0) return NOTHING_NEW;
      const result = document.receive(origin, update, saw);
      if (result.missing !== null) throw new SyncError('MISSING_DEPENDENCIES');
      return result;
    });
    await tried;
    // Only now: a union that failed has left a document that must not be read before it is rebuilt.
    const answer = await inOrder(document, () => ({
      stateVector: document.stateVector(),
      update: stateVector.length > 0 ? document.diff(stateVector) : new Uint8Array(0),
    }));
    await document.durable();
    response.type('application/octet-stream');
    await sendBody(options, request, response, Buffer.from(encodeExchange(answer)));
  });
}

/** What brings nothing new is no offence (N7). */
function refuseNews(document: UserDocument, update: Uint8Array): ReceiveResult {
  if (update.length > 0 && document.wouldChange(update)) throw new SyncError('READ_ONLY');
  return NOTHING_NEW;
}
