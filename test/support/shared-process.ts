import { afterAll, beforeAll, beforeEach } from 'vitest';
import { storeOptions } from './either-store.js';
import { ServerProcess } from './server-process.js';

/** The built server as one process for all tests of a file, each of which has a user of its own. */
export interface SharedProcess {
  readonly server: ServerProcess;
  readonly user: string;
}

/** Starting one takes as long as most of what is tried with it. */
export function shareProcess(options: Readonly<Record<string, string>> = {}): SharedProcess {
  let server: ServerProcess | undefined;
  let users = 0;
  beforeAll(async () => {
    server = await ServerProcess.start({ ...(await storeOptions()), ...options });
  });
  beforeEach(() => void users++);
  afterAll(() => server?.dispose());
  return {
    get server() {
      if (server === undefined) throw new Error('the server is there while tests run');
      return server;
    },
    get user() {
      return `anna-${users}`;
    },
  };
}
