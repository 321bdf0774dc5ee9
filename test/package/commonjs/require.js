const assert = require('node:assert/strict');
const { createSyncClient } = require('telemed-sync/node');
const { syncManager } = require('telemed-sync');
const { memoryStorage } = require('telemed-sync/memory');
const { createElement } = require('react');
const { renderToString } = require('react-dom/server');
const { useSyncClient } = require('telemed-sync/react');
const Y = require('yjs');

(async () => {
  const client = createSyncClient();
  const options = { serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false };
  await client.initialize({ ...options, storage: memoryStorage() });
  await client.addData('notes', { id: 'a' });
  assert.deepEqual(await client.getData('notes'), [{ id: 'a' }]);
  await client.close();
  // All entries share one state.
  const Client = () => String(useSyncClient() === syncManager);
  assert.equal(renderToString(createElement(Client)), 'true');
  assert.equal(typeof Y.Doc, 'function');
})();
