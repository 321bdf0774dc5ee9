import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeveldbPersistence } from 'y-leveldb';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import * as format from '../../../server/store/format.js';
import type { LevelStore } from '../../../server/store/level/level-store.js';
import type { DeviceId, UserId } from '../../../shared/names.js';
import { seededRandom } from '../../support/hostile.js';
import { databaseOf, LevelFixture } from '../../support/level-fixture.js';
import { Author, notesOf, user } from '../../support/notes.js';
import { findInFiles } from '../../support/raw-files.js';
import { runs } from '../../support/runs.js';

const ANNA = user('anna');
const BERT = user('bert');
const TOMBSTONE = Buffer.from('tombstone');
const SECRETS = [
  'secret-value',
  'secret-memory',
  'secret-entry',
  'secret-device',
  'secret-state',
  'secret-collection',
  'secret-record',
];

let fixture: LevelFixture;
afterEach(() => fixture.remove());

/** Some changes; what is Anna's is secret. */
async function write(store: LevelStore, name: UserId, changes: number, filler = 0): Promise<void> {
  const secret = name === ANNA ? 'secret' : 'public';
  const author = new Author();
  const { revision } = await store.load(name);
  for (let i = 1; i <= changes; i += 1) {
    const update = author.set(`k${i}`, `${secret}-value ${'x'.repeat(filler)}`);
    const devices = new Map([[`${secret}-device` as DeviceId, Buffer.from(`${secret}-state`)]]);
    const history = [Buffer.from(`${secret}-entry`)];
    const memory = Buffer.from(`${secret}-memory`);
    await store.commit(name, { update, revision: revision + i, history, devices, memory });
  }
  const deletion = { collection: `${secret}-collection`, id: `${secret}-record`, revision: 1, at: 1 };
  await store.prune(name, revision + 1, [deletion]);
  store.forget(name);
}

const compact = (store: LevelStore): Promise<void> =>
  databaseOf(store).compactRange(Buffer.of(), Buffer.of(255));

describe.each([
  ['with checksums', undefined],
  ['encrypted', KeyRing.parse(newKey())],
])('an erasure, %s', (_, keys) => {
  beforeEach(async () => {
    fixture = await LevelFixture.create(keys);
  });

  it('[P7] leaves no byte of the values in any file, wherever LevelDB had put them', async () => {
    const random = seededRandom(7);
    const upTo = (most: number): number => Math.floor(random() * most);
    for (let round = 0; round < runs(12); round += 1) {
      let store = await fixture.open();
      for (let step = 0; step < 6; step += 1) {
        const chosen = upTo(6);
        if (chosen === 0) await compact(store);
        else if (chosen === 1) {
          await store.close();
          store = await fixture.open();
        } else await write(store, chosen % 2 === 0 ? ANNA : BERT, 2 + upTo(11), upTo(3_000));
      }
      await write(store, ANNA, 2);
      await write(store, BERT, 2);
      if (keys === undefined) expect(await findInFiles(fixture.folder, ['secret-value'])).not.toEqual([]);
      await store.erase(ANNA, TOMBSTONE);
      expect(await findInFiles(fixture.folder, SECRETS), `round ${round}`).toEqual([]);
      expect(Object.keys(notesOf(await store.load(BERT))).length).toBeGreaterThan(1);
      expect(await databaseOf(store).get(format.wrappedKey(ANNA))).toBeUndefined();
      await store.close();
    }
  });

  it.each([
    ['in memory alone', async () => {}],
    ['in the deepest level', async (store: LevelStore) => compact(store).then(() => compact(store))],
    [
      'in a table with nothing above it',
      async (store: LevelStore) => databaseOf(store).compactRange(Buffer.of(0xfe), Buffer.of(0xff)),
    ],
  ])('[P7] leaves nothing of what was %s', async (_, arrange) => {
    const store = await fixture.open();
    await write(store, ANNA, 3);
    await arrange(store);
    await store.erase(ANNA, TOMBSTONE);
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
  });

  it('[P7] waits for those who read, and others go on meanwhile', async () => {
    const store = await fixture.open();
    await write(store, ANNA, 5);
    await write(store, BERT, 400, 500);
    await compact(store);
    await write(store, ANNA, 5);
    const reads = [store.load(BERT), store.load(ANNA), store.history(BERT, { below: 500, limit: 400 })];
    const erased = store.erase(ANNA, TOMBSTONE);
    await Promise.all(reads);
    let done = false;
    const ended = erased.finally(() => {
      done = true;
    });
    const author = new Author();
    let { revision } = await store.load(BERT);
    let commits = 0;
    while (!done) {
      revision += 1;
      commits += 1;
      await store.commit(BERT, { update: author.set('on', commits), revision });
      expect((await store.load(BERT)).revision).toBe(revision);
    }
    await ended;
    expect(commits).toBeGreaterThan(1);
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
    expect(store.generation).toBe(1);
    expect((await store.load(BERT)).revision).toBe(revision);
  });

  it('[P7] [P6] ended before the files were rewritten, it is finished at the next start', async () => {
    const store = await fixture.open();
    await write(store, ANNA, 5);
    await compact(store);
    databaseOf(store).compactRange = () => Promise.reject(new Error('killed'));
    await expect(store.erase(ANNA, TOMBSTONE)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    if (keys === undefined) expect(await findInFiles(fixture.folder, ['secret-value'])).not.toEqual([]);
    await store.load(ANNA);
    const update = new Author().set('new', 1);
    await store.commit(ANNA, { update, revision: 7, memory: Buffer.of(1) });
    await store.close();
    const opened = await fixture.open();
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
    expect(notesOf(await opened.load(ANNA))).toEqual({ new: 1 });
    expect((await opened.load(ANNA)).memory).toEqual(Uint8Array.of(1));
  });

  it('[P7] takes what a repair left behind, and the log of LevelDB', async () => {
    const store = await fixture.open();
    await write(store, ANNA, 3);
    await write(store, BERT, 3);
    await store.close();
    await ClassicLevel.repair(fixture.folder);
    await mkdir(join(fixture.folder, 'lost'), { recursive: true });
    await writeFile(join(fixture.folder, 'lost', '000001.ldb'), 'secret-value');
    const repaired = await fixture.open();
    await repaired.erase(ANNA, TOMBSTONE);
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
    expect(Object.keys(notesOf(await repaired.load(BERT)))).toHaveLength(3);
  });
});

it('[P7] what y-leveldb keeps beside a document goes with it', async () => {
  fixture = await LevelFixture.create();
  const db = new LeveldbPersistence(fixture.folder);
  for (const name of ['anna', 'bert']) {
    await db.storeUpdate(name, new Author().set('k', `${name}-value`));
    await db.setMeta(name, 'note', `${name}-note`);
  }
  await db.destroy();
  const store = await fixture.open();
  await store.erase(ANNA, TOMBSTONE);
  expect(await findInFiles(fixture.folder, ['anna-value', 'anna-note'])).toEqual([]);
  expect(notesOf(await store.load(BERT))).toEqual({ k: 'bert-value' });
});
