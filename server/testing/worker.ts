/** telemed-sync-server/testing-host: a thread with servers for tests, one for each port that it is given. */
import { MessagePort, parentPort } from 'node:worker_threads';
import { TestHost } from './test-host.js';

parentPort?.on('message', (port: unknown) => {
  if (port instanceof MessagePort) new TestHost(port);
});
