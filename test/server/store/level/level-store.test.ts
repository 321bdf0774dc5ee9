import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { updateKey, updateRange } from '../../../../server/store/format.js';
import type { LevelStore } from '../../../../server/store/level/level-store.js';
import type { UserId } from '../../../../shared/names.js';
import { storeContract } from '../../../contract/store-contract.js';
import { turnsContract } from '../../../contract/store-turns-contract.js';
import { changeByte, databaseOf, editDatabase, LevelFixture } from '../../../support/level-fixture.js';
import { Author, notesOf, user, writeNotes } from '../../../support/notes.js';

describe.each([
  ['LevelStore', undefined, 0],
  ['LevelStore, rest rows at hand', undefined, 2 ** 20],
  ['LevelStore, encrypted, rest rows at hand', KeyRing.parse(newKey()), 2 ** 20],
])('%s', (name, keys, restBudget) => {
  const create = async () => {
    const fixture = await LevelFixture.create(keys);
    let store: LevelStore | null = null;
    return {
      open: async () => {
        store = await fixture.open({ restBudget });
        return store;
      },
      failNextBatch: () => fixture.failNextBatch(),
      damage: async (user: UserId) => damageFirst(store, user),
      remove: () => fixture.remove(),
    };
  };
  storeContract(name, create);
  turnsContract(name, create);
});

async function damageFirst(store: LevelStore | null, name: UserId): Promise<void> {
  if (store === null) throw new Error('the store is not open');
  const [first] = await databaseOf(store)
    .keys({ ...updateRange(name), limit: 1 })
    .all();
  if (first === undefined) throw new Error('there is no update');
  await changeByte(databaseOf(store), first, 0);
}

describe('LevelStore', () => {
  const ANNA = user('anna');
  let fixture: LevelFixture;
  beforeEach(async () => {
    fixture = await LevelFixture.create();
  });
  afterEach(() => fixture.remove());

  it('[P2] what arrives while a batch is written goes into the next one, across users, one row per user', async () => {
    const batches: number[] = [];
    const store = await fixture.open();
    const users = Array.from({ length: 5 }, (_, i) => user(`u${i}`));
    await Promise.all(users.map((name) => store.load(name)));
    const author = new Author();
    let late: Promise<void>[] = [];
    fixture.beforeWrite = (operations) => {
      batches.push(operations.length);
      if (batches.length > 1) return;
      late = users.flatMap((name) =>
        [0, 1, 2, 3].map((i) => store.commit(name, { update: author.set('k', i), revision: i + 2 })),
      );
    };
    await store.load(ANNA);
    await store.commit(ANNA, { update: author.set('k', 0), revision: 1 });
    await Promise.all(late);
    // Update, state vector, row; then of 5 users 4 updates, 1 state vector, 1 row.
    expect(batches).toEqual([3, 5 * (4 + 1 + 1)]);
  });

  it('[P2] a batch stays below 16 MiB, but for one commit that is larger', async () => {
    const sizes: number[] = [];
    const store = await fixture.open();
    fixture.beforeWrite = (operations) => {
      sizes.push(operations.reduce((sum, op) => sum + (op.type === 'put' ? op.value.length : 0), 0));
    };
    await store.load(ANNA);
    const author = new Author();
    const large = 'x'.repeat(6 * 1024 * 1024);
    const commits = [1, 2, 3].map((i) =>
      store.commit(ANNA, { update: author.set(`k${i}`, large), revision: i }),
    );
    await Promise.all(commits);
    expect(sizes.map((size) => Math.floor(size / 1024 / 1024))).toEqual([12, 6]);
    expect((await store.load(ANNA)).updates).toHaveLength(3);
  });

  it('[P4] a compaction leaves one update in the database', async () => {
    const store = await fixture.open();
    await store.load(ANNA);
    const author = await writeNotes(store, ANNA, 30);
    await store.compact(ANNA, { ...author.snapshot(), revision: 30 });
    await store.close();
    const keys = await editDatabase(fixture.folder, (db) =>
      db.keys({ gte: updateKey(ANNA, 0), lt: updateKey(ANNA, 1_000) }).all(),
    );
    expect(keys.map((key) => Buffer.from(key))).toEqual([updateKey(ANNA, 30)]);
  });

  it('lists the users that have a document', async () => {
    const store = await fixture.open();
    for (const name of [ANNA, user('bert')]) {
      await store.load(name);
      await writeNotes(store, name, 1);
    }
    await store.load(user('never-wrote'));
    expect((await store.allUsers()).sort()).toEqual(['anna', 'bert']);
    expect(notesOf(await store.load(ANNA))).toEqual({ n0: 0 });
  });
});
