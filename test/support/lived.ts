import fc from 'fast-check';
import type * as Y from 'yjs';
import { editArbitrary, editNative } from './random-edits.js';
import { client, Server } from './replicas.js';

/** Native devices and a JSON device edit, and meet now and then; what lost and what was moved is kept. */
export const histories = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.nat(3), editArbitrary) },
    { weight: 2, arbitrary: fc.tuple(fc.nat(2), fc.constant('meet' as const)) },
  ),
  { minLength: 10, maxLength: 60 },
);
type History = typeof histories extends fc.Arbitrary<infer T> ? T : never;

/** In an update, what has the higher client id comes first. */
export const serverWith = (writes: number) => new Server({ ids: () => ({ writes, unions: writes + 1 }) });

/** What a server has stored of it, and each update of a device as it made it. */
export function lived(history: History, serverId: number): { server: Server; asMade: Uint8Array[] } {
  const server = serverWith(serverId);
  const docs = [11, 12, 13].map(client);
  const asMade: Uint8Array[] = [];
  for (const doc of docs) doc.on('update', (update: Uint8Array) => asMade.push(update));
  for (const [step, [who, what]] of history.entries()) {
    const doc = docs[who];
    if (what === 'meet') server.sync(doc as Y.Doc);
    else if (doc === undefined) server.write((own) => editNative(own, what, `v${step}`));
    else editNative(doc, what, `v${step}`);
  }
  for (const doc of docs) server.sync(doc);
  return { server, asMade };
}
