// An app that speaks JSON goes on as it is: whole records over a WebSocket.
export function save(socket: WebSocket, document: { readonly id: string }, userId: string, deviceId: string) {
  const timestamp = Date.now();
  const data = { collection: 'appointments', document, timestamp };
  socket.send(JSON.stringify({ type: 'DATA_UPDATE', data, userId, deviceId, timestamp }));
}
