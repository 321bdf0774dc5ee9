/** What a server of JSON devices has to do at least: each message goes to the other sockets of its user. */
import { type WebSocket, WebSocketServer } from 'ws';

const users = new Map<string, Set<WebSocket>>();
const server = new WebSocketServer({
  host: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  perMessageDeflate: false,
});

server.on('connection', (ws, { url = '' }) => {
  const query = new URL(url, 'http://server').searchParams;
  const [userId, deviceId] = [query.get('userId') ?? '', query.get('deviceId') ?? ''];
  const sockets = users.get(userId) ?? new Set();
  users.set(userId, sockets.add(ws));
  ws.on('message', (data) => {
    const message: object = JSON.parse(data.toString());
    const text = JSON.stringify({ ...message, fromDevice: deviceId });
    for (const other of sockets) if (other !== ws) other.send(text);
  });
  ws.on('close', () => {
    sockets.delete(ws);
    if (sockets.size === 0) users.delete(userId);
  });
  const timestamp = Date.now();
  ws.send(JSON.stringify({ type: 'FULL_SYNC', data: {}, timestamp }));
  ws.send(JSON.stringify({ type: 'CONNECTION_CONFIRMED', userId, deviceId, timestamp }));
});

process.on('SIGTERM', () => process.exit());
