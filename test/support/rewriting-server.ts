/** A server that writes documents anew as soon as they are quiet, and is told which to find too costly (P10). */
import * as Y from 'yjs';
import { MANY_CLIENTS } from '../../server/documents/epochs/document-rewriting.js';
import { collectingLog } from '../../server/log.js';
import { encodeExchange } from '../../shared/exchange.js';
import type { TestServer } from './server.js';
import { useServer } from './use.js';
import { inTime } from './wait.js';

export interface RewritingServer extends TestServer {
  /** Resolves when the document was written anew. */
  rewrite(user?: string, token?: string): Promise<void>;
}

export async function useRewriting(options: Readonly<Record<string, string>> = {}): Promise<RewritingServer> {
  const { log, events } = collectingLog();
  const waiting = new Set<() => void>();
  const server = await useServer(
    { REST_AFTER: '100ms', HISTORY_DAYS: '0', ...options },
    {
      log: (name, fields) => {
        log(name, fields);
        for (const look of waiting) look();
      },
    },
  );
  const count = (user: string): number =>
    events.filter(({ name, fields }) => name === 'rewritten' && fields.user === user).length;
  const rewrite = async (user = 'anna', token?: string): Promise<void> => {
    const before = count(user);
    await fetch(`${server.url}/api/yjs/${user}?rewrites=1`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/octet-stream',
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body: Buffer.from(encodeExchange({ stateVector: new Uint8Array(0), update: ofManyClients() })),
    });
    const done = new Promise<void>((resolve) => {
      const look = (): void => {
        if (count(user) > before) resolve();
      };
      waiting.add(look);
      look();
    });
    await inTime(done, () => `the document of ${user} to be written anew`);
  };
  return Object.assign(server, { rewrite });
}

/** More client ids than a document may have, each with a value that the next one overwrites. */
function ofManyClients(): Uint8Array {
  const doc = new Y.Doc();
  for (let client = 0; client <= MANY_CLIENTS; client++) {
    doc.clientID = 1 + Math.floor(Math.random() * 2 ** 31);
    doc.getMap('starts').set('last', new Y.Map([['n', client]]));
  }
  return Y.encodeStateAsUpdate(doc);
}
