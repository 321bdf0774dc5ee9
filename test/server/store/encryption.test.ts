import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import { CipherVaults } from '../../../server/store/encryption/vault.js';
import * as format from '../../../server/store/format.js';
import type { Operation } from '../../../server/store/level/database.js';
import { encryptDatabase, KEYS_IN_USE, readMark } from '../../../server/store/level/encryption.js';
import { LevelStore } from '../../../server/store/level/level-store.js';
import type { Store } from '../../../server/store/store.js';
import type { DeviceId, UserId } from '../../../shared/names.js';
import { changeByte, databaseOf, editDatabase, LevelFixture } from '../../support/level-fixture.js';
import { Author, entriesOf, notesOf, text, user } from '../../support/notes.js';
import { findInFiles } from '../../support/raw-files.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone-of-somebody' as DeviceId;
const CORRUPT = { code: 'DOCUMENT_CORRUPT' };
const UNAVAILABLE = { code: 'STORE_UNAVAILABLE' };
const ALL = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };
const [OLD, NEW] = [newKey(), newKey()];
const ring = (...keys: string[]): KeyRing => KeyRing.parse(keys.join('\n'));
/** What must not be readable: field, value, memory, entry, device and its state, deletion. */
const SECRETS = [
  'diagnosis-field',
  'hypertension-value',
  'memory-value',
  'entry-value',
  'phone-of-somebody',
  'device-value',
  'collection-name',
  'record-id',
];

let fixture: LevelFixture;
afterEach(() => fixture.remove());

async function fill(store: Store, name: UserId): Promise<void> {
  await store.load(name);
  const author = new Author();
  const update = author.set('diagnosis-field', 'hypertension-value');
  const history = [1, 2].map(() => Buffer.from('entry-value'));
  const devices = new Map([[PHONE, Buffer.from('device-value')]]);
  await store.commit(name, { update, revision: 2, history, devices, memory: Buffer.from('memory-value') });
  await store.commit(name, { update: author.set('more', 1), revision: 3, history: history.slice(1) });
  await store.prune(name, 1, [{ collection: 'collection-name', id: 'record-id', revision: 1, at: 1 }]);
  store.forget(name);
}

async function expectAll(store: Store, name: UserId): Promise<void> {
  const stored = await store.load(name);
  expect(notesOf(stored)).toEqual({ 'diagnosis-field': 'hypertension-value', more: 1 });
  expect(stored).toMatchObject({ revision: 3, historyFrom: 1 });
  expect(stored.memory && text(stored.memory)).toBe('memory-value');
  expect([...stored.devices].map(([id, state]) => [id, text(state)])).toEqual([[PHONE, 'device-value']]);
  expect(entriesOf(await store.history(name, ALL))).toEqual(['entry-value', 'entry-value']);
  expect(await store.deletions(name)).toEqual([
    { collection: 'collection-name', id: 'record-id', revision: 1, at: 1 },
  ]);
}

describe('an encrypted database', () => {
  beforeEach(async () => {
    fixture = await LevelFixture.create(ring(OLD));
  });

  it('[P7] nothing of the values is in any file, nor the names in keys', async () => {
    const store = await fixture.open();
    await fill(store, ANNA);
    await expectAll(store, ANNA);
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
    expect(await findInFiles(fixture.folder, [OLD])).toEqual([]);
    expect(await findInFiles(fixture.folder, ['anna'])).not.toEqual([]);
    await databaseOf(store).compactRange(Buffer.of(), Buffer.of(255));
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
  });

  it('[P5] without its key, with another one, or with a damaged mark it is refused, and nothing is changed', async () => {
    await fill(await fixture.open(), ANNA);
    await fixture.store?.close();
    const { folder } = fixture;
    const without = LevelStore.open({ folder });
    await expect(without).rejects.toMatchObject(UNAVAILABLE);
    await expect(without).rejects.toThrow(/is encrypted \(key [0-9a-f]{8}\): set ENCRYPTION_KEY/);
    await expect(LevelStore.open({ folder, keys: ring(NEW) })).rejects.toThrow(
      new RegExp(`encrypted with the key ${ring(OLD).current.id}, which is not among`),
    );
    await expectAll(await fixture.open(), ANNA);
    await fixture.store?.close();
    await editDatabase(folder, (db) => changeByte(db, format.ENCRYPTION_KEY, 3));
    await expect(fixture.open()).rejects.toThrow(/mark .* is damaged/);
    await expect(LevelStore.open({ folder })).rejects.toThrow(/mark .* is damaged/);
    await editDatabase(folder, (db) => db.del(format.ENCRYPTION_KEY));
    await expect(LevelStore.open({ folder })).rejects.toThrow(/mark .* is damaged/);
  });

  it("[P5] damage in a user's key, at any byte, or its loss, shuts out that user alone", async () => {
    const store = await fixture.open();
    for (const name of [ANNA, BERT]) await fill(store, name);
    const db = databaseOf(store);
    const key = format.wrappedKey(ANNA);
    const wrapped = (await db.get(key)) ?? Buffer.of();
    for (let position = 0; position < wrapped.length; position += 1) {
      await changeByte(db, key, position);
      await expect(store.load(ANNA), `position ${position}`).rejects.toMatchObject(CORRUPT);
      await changeByte(db, key, position);
    }
    await db.put(key, (await db.get(format.wrappedKey(BERT))) ?? Buffer.of());
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
    await db.del(key);
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
    await expectAll(store, BERT);
    await db.put(key, wrapped);
    await expectAll(store, ANNA);
  });

  it('[H5] [L4] [P5] damage in an entry, a deletion or a device never keeps the document from being loaded', async () => {
    const store = await fixture.open();
    await fill(store, ANNA);
    const db = databaseOf(store);
    const named = async (kind: format.NamedKind) =>
      (await db.keys(format.namedRange(kind, ANNA)).all())[0] ?? Buffer.of();
    const [entry, deletion, device] = [
      format.historyKey(ANNA, 3),
      await named('deleted'),
      await named('device'),
    ];
    for (const key of [entry, deletion, device]) {
      const { length } = (await db.get(key)) ?? Buffer.of();
      for (let position = 0; position < length; position += 1) {
        await changeByte(db, key, position);
        const { devices, revision } = await store.load(ANNA);
        expect([revision, devices.size], `position ${position}`).toEqual([3, key === device ? 0 : 1]);
        if (key === entry) await expect(store.history(ANNA, ALL)).rejects.toMatchObject(CORRUPT);
        if (key === deletion) await expect(store.deletions(ANNA)).rejects.toMatchObject(CORRUPT);
        await changeByte(db, key, position);
      }
    }
    await expectAll(store, ANNA);
  });

  it('[P5] values that changed places, of two users or two positions, are found', async () => {
    const store = await fixture.open();
    for (const name of [ANNA, BERT]) await fill(store, name);
    const db = databaseOf(store);
    const swapped = async (one: Uint8Array, two: Uint8Array, look: () => Promise<void>): Promise<void> => {
      const [first = Buffer.of(), second = Buffer.of()] = await db.getMany([one, two]);
      await db.put(one, second);
      await db.put(two, first);
      await look();
      await db.put(one, first);
      await db.put(two, second);
    };
    const isCorrupt = (load: () => Promise<unknown>) => () => expect(load()).rejects.toMatchObject(CORRUPT);
    const load = isCorrupt(() => store.load(ANNA));
    await swapped(format.updateKey(ANNA, 0), format.updateKey(ANNA, 1), load);
    await swapped(format.updateKey(ANNA, 0), format.updateKey(BERT, 0), load);
    await swapped(format.memoryKey(ANNA), format.memoryKey(BERT), load);
    await swapped(format.memoryKey(ANNA), format.updateKey(ANNA, 0), load);
    const history = isCorrupt(() => store.history(ANNA, ALL));
    await swapped(format.historyKey(ANNA, 2), format.historyKey(ANNA, 3), history);
    await swapped(format.historyKey(ANNA, 2), format.historyKey(BERT, 2), history);
    await expectAll(store, ANNA);
  });
});

describe('a plain database that is opened with a key', () => {
  beforeEach(async () => {
    fixture = await LevelFixture.create();
    const store = await fixture.open();
    for (const name of [ANNA, BERT]) await fill(store, name);
    expect((await findInFiles(fixture.folder, SECRETS)).length).toBeGreaterThan(0);
  });

  it.each(['as it is', 'compacted before'])(
    '[P7] is encrypted, and no file keeps a value: %s',
    async (how) => {
      if (how !== 'as it is')
        await databaseOf(fixture.store as LevelStore).compactRange(Buffer.of(), Buffer.of(255));
      await fixture.store?.close();
      const progress: number[] = [];
      const store = await fixture.open({ keys: ring(OLD), onProgress: (done) => progress.push(done) });
      expect(progress).toEqual([1, 2]);
      expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
      for (const name of [ANNA, BERT]) await expectAll(store, name);
      await store.close();
      await expect(fixture.open()).rejects.toThrow(/is encrypted/);
      await expectAll(await fixture.open({ keys: ring(OLD) }), ANNA);
    },
  );

  it('[D6 P7] is encrypted for users as identity providers name them, also those who have no document', async () => {
    const names = ['auth0|64f0', 'zo\u00eb@x.org', 'anna!', 'anna!phone', '漢字🩺'].map(user);
    for (const name of names) await fill(fixture.store as LevelStore, name);
    const device = { update: null, revision: 0, devices: new Map([[PHONE, Buffer.from('device-value')]]) };
    const known = ['bert!x', 'm\u00fcller'].map(user);
    for (const name of known) {
      await fixture.store?.load(name);
      await fixture.store?.commit(name, device);
    }
    await fixture.store?.close();
    const store = await fixture.open({ keys: ring(OLD) });
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
    for (const name of [ANNA, BERT, ...names]) await expectAll(store, name);
    for (const name of known) expect([...(await store.load(name)).devices.keys()]).toEqual([PHONE]);
  });

  it('[P6] ended anywhere in between, it is refused without a key, and goes on with it', async () => {
    await fixture.store?.close();
    const half = format.updateKey(ANNA, 1);
    for (const batches of [1, 2]) {
      const folder = await fixture.copy();
      await editDatabase(folder, async (db) => {
        const plain = (await db.get(half)) ?? Buffer.of();
        await endingAfter(batches, db);
        if (batches === 2) await db.put(half, plain); // as if it had ended within a user
      });
      await expect(LevelStore.open({ folder })).rejects.toThrow(/is encrypted/);
      const store = await LevelStore.open({ folder, keys: ring(OLD) });
      for (const name of [ANNA, BERT]) await expectAll(store, name);
      await store.close();
      expect(await findInFiles(folder, SECRETS)).toEqual([]);
    }
  });

  it('[P5] what was damaged stays so, for its user alone, and is not readable either', async () => {
    await fixture.edit(async (db) => {
      await changeByte(db, format.updateKey(ANNA, 0), 0);
      await changeByte(db, format.historyKey(BERT, 2), 0);
      await changeByte(db, format.deviceKey(BERT, PHONE), 0);
    });
    await fixture.store?.close();
    const store = await fixture.open({ keys: ring(OLD) });
    await expect(store.load(ANNA)).rejects.toMatchObject(CORRUPT);
    expect(await store.load(BERT)).toMatchObject({ revision: 3, devices: { size: 0 } });
    await expect(store.history(BERT, ALL)).rejects.toMatchObject(CORRUPT);
    expect(await findInFiles(fixture.folder, SECRETS)).toEqual([]);
  });
});

/** Encrypts with a database that fails after so many batches. */
async function endingAfter(batches: number, db: Parameters<typeof encryptDatabase>[0]): Promise<void> {
  let left = batches;
  const failing = new Proxy(db, {
    get(target, name: keyof typeof db) {
      if (name === 'batch' && left-- === 0) throw new Error('killed');
      const value: unknown = target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  await expect(encryptDatabase(failing, ring(OLD), () => {})).rejects.toThrow('killed');
}

describe('new master keys', () => {
  beforeEach(async () => {
    fixture = await LevelFixture.create(ring(OLD));
  });
  const inUse = async (): Promise<string[]> =>
    (await readFile(join(fixture.folder, KEYS_IN_USE), 'utf8')).trim().split('\n');

  it('[P7] are taken while documents are in use; then the old one is not needed any more', async () => {
    const store = await fixture.open();
    await fill(store, ANNA);
    await store.load(BERT); // has no key yet
    await store.load(ANNA);
    expect(await inUse()).toEqual([ring(OLD).current.id]);
    const changing = store.changeKeys(ring(NEW, OLD));
    const update = new Author().set('b', 1);
    await Promise.all([changing, store.commit(BERT, { update, revision: 1 })]);
    expect(await inUse()).toEqual([ring(NEW).current.id]);
    const late = user('late');
    await store.load(late);
    await store.commit(late, { update, revision: 1 });
    await expectAll(store, ANNA);
    await store.close();
    const opened = await fixture.open({ keys: ring(NEW) });
    await expectAll(opened, ANNA);
    for (const name of [BERT, late]) expect(notesOf(await opened.load(name))).toEqual({ b: 1 });
    await opened.close();
    await expect(fixture.open({ keys: ring(OLD) })).rejects.toThrow(/which is not among/);
  });

  it('[P6] ended in between, both are needed, and it goes on', async () => {
    const store = await fixture.open();
    for (const name of [ANNA, BERT]) await fill(store, name);
    fixture.beforeWrite = (operations: Operation[]) => {
      if (operations.some(({ key }) => Buffer.from(key).equals(format.wrappedKey(ANNA))))
        throw new Error('end');
    };
    await expect(store.changeKeys(ring(NEW, OLD))).rejects.toMatchObject({ code: 'NOT_SAVED' });
    fixture.beforeWrite = () => {};
    await store.close();
    expect((await inUse()).sort()).toEqual([ring(OLD).current.id, ring(NEW).current.id].sort());
    for (const one of [OLD, NEW]) {
      await expect(fixture.open({ keys: ring(one) })).rejects.toThrow(/which is not among/);
    }
    const opened = await fixture.open({ keys: ring(NEW, OLD) });
    await opened.changeKeys(ring(NEW, OLD));
    expect(await inUse()).toEqual([ring(NEW).current.id]);
    await expectAll(opened, ANNA);
  });

  it('[P5] without one that is in use they are refused, and the store goes on', async () => {
    const store = await fixture.open();
    await fill(store, ANNA);
    await expect(store.changeKeys(ring(NEW))).rejects.toThrow(/which is not among/);
    await expectAll(store, ANNA);
    expect((await readMark(databaseOf(store)))?.keys).toEqual([ring(OLD).current.id]);
  });
});

describe('keys', () => {
  it('are lines of base64 or hex, with comments; a bad one is named by its line and not shown', () => {
    const hex = Buffer.from(NEW, 'base64').toString('hex');
    const parsed = KeyRing.parse(`# keys\n\n${OLD} # of 2025\n  ${hex}\r\n`);
    expect(parsed.ids).toEqual([ring(OLD).current.id, ring(NEW).current.id]);
    expect(() => KeyRing.parse(`${OLD}\n${NEW.slice(4)}`)).toThrow(/^Line 2 is not a key/);
    expect(() => KeyRing.parse('# none\n')).toThrow('There is no key.');
    expect(JSON.stringify(parsed)).not.toContain(OLD.slice(0, 8));
  });

  it('[P5] one value sealed twice is never the same, and opens in its place only', () => {
    const vault = new CipherVaults(ring(OLD)).of(ANNA, undefined);
    const [one, two] = [
      vault.seal(Buffer.from('a'), Buffer.of(1)),
      vault.seal(Buffer.from('a'), Buffer.of(1)),
    ];
    expect(one.equals(two)).toBe(false);
    expect(text(vault.unseal(two, Buffer.of(1)) ?? Buffer.of())).toBe('a');
    expect(vault.unseal(two, Buffer.of(2))).toBeUndefined();
    expect(new CipherVaults(ring(OLD)).of(ANNA, undefined).unseal(two, Buffer.of(1))).toBeUndefined();
  });
});
