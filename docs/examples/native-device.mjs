// A native device of the user "demo": its own copy of the document in a file, and a plain y-websocket provider.
//   node docs/examples/native-device.mjs sync              connects, exchanges what is new, leaves
//   node docs/examples/native-device.mjs set a1 room 7     edits the copy in the file; needs no network
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';

const [command, id, field, value] = process.argv.slice(2);
const server = process.env.SERVER ?? 'ws://127.0.0.1:3001';
const file = join(tmpdir(), 'telemed-sync-laptop.yjs');
const CHECKPOINT = 100;

const doc = new Y.Doc();
if (existsSync(file)) Y.applyUpdate(doc, readFileSync(file));
const appointments = doc.getMap('appointments');

function set() {
  if (!appointments.has(id)) appointments.set(id, new Y.Map());
  appointments.get(id).set(field, parse(value));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function sync() {
  const provider = new WebsocketProvider(`${server}/yjs`, 'demo', doc, {
    params: { deviceId: 'laptop' },
    WebSocketPolyfill: WebSocket,
    disableBc: true,
  });
  return new Promise((resolve, reject) => {
    const fail = (why) => {
      clearTimeout(timer);
      provider.destroy();
      reject(new Error(why));
    };
    const noAnswer = `No server answers at ${server}; start it with npm start, or set SERVER.`;
    const timer = setTimeout(fail, 5000, noAnswer);
    // A server that refuses, for example without a token, closes the connection and says why.
    provider.on('connection-close', (event) => {
      if (event?.reason) fail(`${server} closed the connection: ${event.code} ${event.reason}`);
    });
    // A checkpoint comes back once everything that was sent before it is on disk.
    provider.once('sync', () => provider.ws.send(Uint8Array.of(CHECKPOINT, 1)));
    provider.messageHandlers[CHECKPOINT] = () => {
      clearTimeout(timer);
      provider.destroy();
      resolve();
    };
  });
}

try {
  if (command === 'set' && value !== undefined) set();
  else if (command === 'sync') await sync();
  else throw new Error('Usage: node docs/examples/native-device.mjs sync | set ID FIELD VALUE');
  writeFileSync(file, Y.encodeStateAsUpdate(doc));
  process.stdout.write(`copy of the laptop: ${file}\n${JSON.stringify(appointments)}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
doc.destroy(); // stops the timers of y-websocket, so that the process can end
