import { describe } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { storeContract } from '../../../contract/store-contract.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';

describe.skipIf(postgresUrl() === '').each([
  ['PostgresStore', undefined],
  ['PostgresStore, encrypted', KeyRing.parse(newKey())],
])('%s', (name, keys) => {
  storeContract(name, async () => {
    const fixture = await PostgresFixture.create();
    return {
      open: () => fixture.open({ keys }),
      failNextBatch: () => fixture.failNextBatch(),
      damage: (user) => fixture.damage(user),
      remove: () => fixture.remove(),
    };
  });
});
