import { expect, it } from 'vitest';
import { memoryStorage } from '../../../client/local-store/memory.js';
import { localStoreContract } from '../../contract/local-store-contract.js';

localStoreContract(
  'memory',
  async () => {
    const storage = memoryStorage();
    return { storage: () => storage, fillUp() {}, remove: async () => {} };
  },
  { secondStore: 'shares', canBeFull: false, runs: 100 },
);

it('[C5 C7] memory says that it is not durable', () => {
  expect(memoryStorage()).toMatchObject({ durable: false, name: 'memory' });
});
