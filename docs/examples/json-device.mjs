// A JSON device of the user "demo". It stays connected and prints what it gets:
//   node docs/examples/json-device.mjs tablet
// With an appointment it sends that, waits until the server has saved it, and a second more for what the server made
// of it, and leaves:
//   node docs/examples/json-device.mjs phone '{"id":"a1","status":"booked"}'
import { WebSocket } from 'ws';

const [deviceId = 'phone', appointment] = process.argv.slice(2);
const server = process.env.SERVER ?? 'ws://127.0.0.1:3001';
const userId = 'demo';
const say = (line) => process.stdout.write(`${line}\n`);

const socket = new WebSocket(`${server}/sync?userId=${userId}&deviceId=${deviceId}`);

function send(document) {
  const now = Date.now();
  // The first time says when the change was made, the second one when it was sent: an app with a queue has two.
  const data = { collection: 'appointments', document, timestamp: now };
  const message = { type: 'DATA_UPDATE', data, userId, deviceId, timestamp: now };
  // "ack" is optional: the server answers it once the change is on disk.
  socket.send(JSON.stringify({ ...message, ack: 'saved' }));
}

socket.on('message', (text) => {
  say(text);
  const { type } = JSON.parse(text);
  if (type === 'CONNECTION_CONFIRMED' && appointment !== undefined) send(JSON.parse(appointment));
  if (type === 'ERROR') socket.close();
  if (type === 'ACK') setTimeout(() => socket.close(), 1_000);
});
socket.on('error', (error) => say(`error: ${error.message || error.code}`));
socket.on('close', (code, reason) => say(`closed: ${code} ${reason}`));
