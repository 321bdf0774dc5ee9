import { describe } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import type { UserId } from '../../../../shared/names.js';
import { storeContract } from '../../../contract/store-contract.js';
import { turnsContract } from '../../../contract/store-turns-contract.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';

describe.skipIf(postgresUrl() === '').each([
  ['PostgresStore', undefined],
  ['PostgresStore, encrypted', KeyRing.parse(newKey())],
])('%s', (name, keys) => {
  const create = async () => {
    const fixture = await PostgresFixture.create();
    return {
      open: () => fixture.open({ keys }),
      failNextBatch: () => fixture.failNextBatch(),
      damage: (user: UserId) => fixture.damage(user),
      remove: () => fixture.remove(),
    };
  };
  storeContract(name, create);
  turnsContract(name, create);
});
