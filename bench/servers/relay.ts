/** What any server has to do at least: each binary message goes to the other sockets of its room, nothing else. */
import { type WebSocket, WebSocketServer } from 'ws';

const rooms = new Map<string, Set<WebSocket>>();
const server = new WebSocketServer({
  host: process.env.HOST ?? '127.0.0.1',
  port: Number(process.env.PORT),
  perMessageDeflate: false,
});

server.on('connection', (ws, { url = '' }) => {
  const room = rooms.get(url) ?? new Set();
  rooms.set(url, room.add(ws));
  ws.on('message', (data, isBinary) => {
    if (!isBinary) return;
    for (const other of room) if (other !== ws) other.send(data);
  });
  ws.on('close', () => {
    room.delete(ws);
    if (room.size === 0) rooms.delete(url);
  });
});

process.on('SIGTERM', () => process.exit());
