/** To be imported first: what a browser has and Node has not. IndexedDB is a stand-in; the sockets are real. */
import 'fake-indexeddb/auto';
import { WebSocket } from 'ws';

Reflect.set(globalThis, 'WebSocket', WebSocket);
