// A JSON device, in short: docs/guides/OTHER-DEVICES.md.
import { WebSocket } from 'ws'; // browsers and React Native have one of their own

const userId = 'demo';
const deviceId = 'phone';
const socket = new WebSocket(`ws://127.0.0.1:3001/sync?userId=${userId}&deviceId=${deviceId}`);

socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === 'FULL_SYNC') console.log('everything:', message.data);
  if (message.type === 'CONNECTION_CONFIRMED') save({ id: 'a4', status: 'booked', room: 2 });
  if (message.type === 'DATA_UPDATE') console.log('changed:', message.data.document);
  if (message.type === 'DATA_DELETE') console.log('deleted:', message.data.documentId);
};

function save(document) {
  // When the change was made: an app with a queue stores it there. Without it, the server can't tell who was later.
  const data = { collection: 'appointments', document, timestamp: Date.now() };
  // When it was sent: tells the server how far the device's clock is off.
  socket.send(JSON.stringify({ type: 'DATA_UPDATE', data, userId, deviceId, timestamp: Date.now() }));
}
