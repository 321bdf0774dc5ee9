/** `node --import tsx pinger.ts URL`: another user's device, which tells by IPC how long the server left it waiting. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';

const ws = new WebSocket(process.argv[2] ?? '', { perMessageDeflate: false });
await once(ws, 'open');
let longest = 0;
/** The longest of what came since the last question, what is still waited for included. */
let sentAt = performance.now();
process.on('message', () => {
  process.send?.(Math.max(longest, performance.now() - sentAt));
  longest = 0;
});
process.send?.(0);
for (;;) {
  sentAt = performance.now();
  ws.ping();
  await once(ws, 'pong');
  longest = Math.max(longest, performance.now() - sentAt);
  sentAt = Number.POSITIVE_INFINITY;
  await sleep(2);
}
