import type { Request, Response } from 'express';
import { SyncError } from '../../shared/errors.js';
import { decodeExchange, encodeExchange } from '../../shared/protocol/http.js';
import { decodeStateVector } from '../../shared/protocol/yjs.js';
import type { Origin } from '../documents/changes.js';
import { type HttpOptions, inOrder, namedDevice, withDocument } from './http-request.js';

/** Takes an update, gives what the sender lacks; for background sync (H3). */
export async function postYjs(options: HttpOptions, request: Request, response: Response): Promise<void> {
  const device = namedDevice(request) ?? options.newDeviceId();
  const origin: Origin = { via: 'http', device, actor: null, member: null };
  const body = Buffer.isBuffer(request.body) ? new Uint8Array(request.body) : new Uint8Array(0);
  const { stateVector, update } = decodeExchange(body);
  await withDocument(options, request, async (document) => {
    await inOrder(document, () => {
      const saw = stateVector.length > 0 ? decodeStateVector(stateVector) : null;
      if (saw !== null) document.erased?.checkStateVector(saw);
      const missing = update.length > 0 && document.receive(origin, update, saw).missing !== null;
      if (missing) throw new SyncError('MISSING_DEPENDENCIES');
    });
    // Only now: a union that failed has left a document that must not be read before it is rebuilt.
    const answer = await inOrder(document, () => ({
      stateVector: document.stateVector(),
      update: stateVector.length > 0 ? document.diff(stateVector) : new Uint8Array(0),
    }));
    await document.durable();
    response.type('application/octet-stream').send(Buffer.from(encodeExchange(answer)));
  });
}
