/** `node --import tsx flood.ts PORT USER SOCKETS MESSAGES SECONDS`: a user whose devices all send at their full rate. */
import { setTimeout as sleep } from 'node:timers/promises';
import { JsonDevice } from '../support/json-device.js';

const [port = 0, user = '', sockets = 0, rate = 0, seconds = 0] = process.argv
  .slice(2)
  .map((word, index) => (index === 1 ? word : Number(word))) as [number, string, number, number, number];
const TEXT = 'x'.repeat(100);

const devices = Array.from({ length: sockets }, (_, n) => new JsonDevice(port, user, `flood-${n}`));
await Promise.all(devices.map((device) => device.open()));
const began = Date.now();
for (let sent = 0; Date.now() - began < seconds * 1_000; ) {
  for (const due = ((Date.now() - began) / 1_000) * rate; sent < due; sent++) {
    for (const [index, device] of devices.entries()) {
      device.send(JSON.stringify({ id: `r${sent % 50}`, [`k${index}`]: sent, text: TEXT }));
    }
  }
  await sleep(20);
}
process.exit();
