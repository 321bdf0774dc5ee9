// A native device, in short: docs/guides/OTHER-DEVICES.md.
import { WebSocket } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';

const doc = new Y.Doc();
const provider = new WebsocketProvider('ws://127.0.0.1:3001/yjs', 'demo', doc, {
  params: { deviceId: 'laptop' },
  WebSocketPolyfill: WebSocket, // on Node 20; browsers have one of their own
});
provider.on(
  'connection-close',
  (event) => event?.code !== 1005 && console.log('closed:', event?.code, event?.reason),
);

const appointments = doc.getMap('appointments');
appointments.observeDeep(() => console.log(appointments.toJSON()));
provider.once('sync', () => {
  appointments.set(
    'a3',
    new Y.Map([
      ['id', 'a3'],
      ['status', 'booked'],
    ]),
  );
});
