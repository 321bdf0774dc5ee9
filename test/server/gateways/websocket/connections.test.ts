/** Whom what waits for clients counts for (S4, D8). */
import { expect, test } from 'vitest';
import type { Connection } from '../../../../server/gateways/websocket/connection.js';
import { OpenConnections } from '../../../../server/gateways/websocket/connections.js';
import { SHARED_DOCUMENT } from '../../../../shared/names.js';

const connection = (user: string, actor: string | null, unsent: number): Connection =>
  ({ peer: { grant: { user, actor, address: '' } }, wire: { socket: { unsent } } }) as unknown as Connection;

test('[S4 D8] what is not read counts for the user of the document, of the shared one for the person', () => {
  const connections = new OpenConnections([
    connection('anna', 'anna', 1),
    connection('anna', 'carer', 2),
    connection(SHARED_DOCUMENT, 'anna', 4),
    connection(SHARED_DOCUMENT, null, 8),
    connection('bert', 'bert', 0),
  ]);
  expect(connections.unsent).toBe(15);
  expect([...connections.unsentByUser]).toEqual([
    ['anna', 7],
    [null, 8],
  ]);
});
