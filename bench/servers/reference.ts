/** `@y/websocket-server` as its own program starts it, with the `ws` of this project; y-leveldb by `YPERSISTENCE`. */
import { setupWSConnection } from '@y/websocket-server/utils';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({
  host: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  perMessageDeflate: false,
});
server.on('connection', (ws, request) => setupWSConnection(ws, request));

process.on('SIGTERM', () => process.exit());
