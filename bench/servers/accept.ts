/** The least that a server does when a device comes back: accepts it, and answers with bytes that it always has. */
import { WebSocketServer } from 'ws';
import * as Y from 'yjs';
import { SYNC, SYNC_STEP_1, SYNC_STEP_2, syncFrame } from '../support/frames.js';
import { CONTENT } from '../support/population.js';

const NOTHING = syncFrame(SYNC_STEP_2, Y.encodeStateAsUpdate(new Y.Doc()));
const ALL = syncFrame(SYNC_STEP_2, CONTENT);
/** SyncStep1 of a device that has nothing: a vector of one byte. */
const FROM_NOTHING = 4;

const doc = new Y.Doc();
Y.applyUpdate(doc, CONTENT);
const appointments = Object.values(doc.getMap('appointments').toJSON());
const FULL_SYNC = JSON.stringify({ type: 'FULL_SYNC', data: { appointments }, timestamp: Date.now() });
const CONFIRMED = JSON.stringify({ type: 'CONNECTION_CONFIRMED' });

new WebSocketServer({
  host: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  perMessageDeflate: false,
}).on('connection', (ws, { url = '' }) => {
  ws.on('message', (data: Buffer) => {
    if (data[0] === SYNC && data[1] === SYNC_STEP_1) ws.send(data.length === FROM_NOTHING ? ALL : NOTHING);
  });
  if (!url.startsWith('/sync')) return;
  ws.send(FULL_SYNC);
  ws.send(CONFIRMED);
});

process.on('SIGTERM', () => process.exit());
