/** What `telemed-sync check` finds: every kind of damage, each in the part that it is in. */
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { KeyRing, newKey } from '../../../server/store/encryption/key-ring.js';
import { CipherVaults, plainVaults, type Vault } from '../../../server/store/encryption/vault.js';
import * as format from '../../../server/store/format.js';
import { checkDatabase } from '../../../server/store/level/check.js';
import type { Database } from '../../../server/store/level/database.js';
import { ownerOf } from '../../../server/store/level/key-owner.js';
import type { DeviceKey } from '../../../shared/names.js';
import { command } from '../../support/backups.js';
import { changeByte, editDatabase, LevelFixture } from '../../support/level-fixture.js';
import { user } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const KEY = newKey();
const RING = KeyRing.parse(KEY);

let fixture: LevelFixture;
afterEach(() => fixture.remove());

const entry = (text: string): Uint8Array => Buffer.from(`entry ${text}`);

/** A user with something in every part. */
async function fill(): Promise<void> {
  const store = await fixture.open();
  await store.setNote('clock', Buffer.from('1'));
  for (const who of [ANNA, BERT]) {
    await store.load(who);
    const doc = new Y.Doc();
    for (let revision = 1; revision <= 5; revision += 1) {
      const before = Y.encodeStateVector(doc);
      doc.getMap('data').set(`${who}-${revision}`, revision);
      const update = Y.encodeStateAsUpdate(doc, before);
      const devices = new Map([['tablet' as DeviceKey, Buffer.from(`of ${who}`)]]);
      const memory = Buffer.from(`memory of ${who}`);
      await store.commit(who, { update, revision, memory, devices, history: [entry(`${who} ${revision}`)] });
    }
    const stateVector = Y.encodeStateVector(doc);
    const update = Y.encodeStateAsUpdate(doc);
    await store.compact(who, { update, stateVector, revision: 5, epoch: Buffer.from('epoch') });
    doc.getMap('data').set('last', 6);
    const last = Y.encodeStateAsUpdate(doc, stateVector);
    await store.commit(who, { update: last, revision: 6, history: [entry('6')] });
    await store.prune(who, 1, [{ collection: 'notes', id: 'gone', revision: 1, at: 1 }]);
    const rest = { stateVector: Y.encodeStateVector(doc), deletions: Uint8Array.of(0, 0) };
    await store.putToRest(who, { ...rest, revision: 6, isWhole: false, hasView: true }, Buffer.from('{}'));
    await store.notePlainVisit(who, 1);
    await store.noteSeen(who, Buffer.from('[]'));
  }
  await store.close();
}

const found = async (keys?: KeyRing): Promise<string[]> =>
  (await checkDatabase(fixture.folder, keys, () => {})).findings.map(({ user, part }) => `${user} ${part}`);

const edit = (change: (db: Database) => Promise<unknown>) => editDatabase(fixture.folder, change);

const first = async (db: Database, range: format.KeyRange): Promise<Uint8Array> => {
  const [key] = await db.keys({ ...range, limit: 1 }).all();
  if (key === undefined) throw new Error('there is none');
  return key;
};

const flip = async (db: Database, key: Uint8Array) => changeByte(db, key, 2, 4);

type Damage = readonly [
  what: string,
  finding: string,
  inflict: (db: Database, vault: Vault) => Promise<unknown>,
];

/** The updates are at the clocks 5, the compacted one, and 6. */
const DAMAGES: readonly Damage[] = [
  ['an update that changed', 'anna document', (db) => flip(db, format.updateKey(ANNA, 5))],
  ['the first update missing', 'anna document', (db) => db.del(format.updateKey(ANNA, 5))],
  ['the last update missing', 'anna document', (db) => db.del(format.updateKey(ANNA, 6))],
  ['a row that changed', 'anna document', (db) => flip(db, format.rowKey(ANNA))],
  ['the row missing', 'anna document', (db) => db.del(format.rowKey(ANNA))],
  ['a memory that changed', 'anna document', (db) => flip(db, format.memoryKey(ANNA))],
  ['the memory missing', 'anna document', (db) => db.del(format.memoryKey(ANNA))],
  ['the epoch missing', 'anna document', (db) => db.del(format.epochKey(ANNA))],
  ['a state vector that is none', 'anna vector', (db) => db.put(format.stateVectorKey(ANNA), Buffer.of(5))],
  [
    'an update that is whole, but none of Yjs',
    'anna document',
    (db, vault) => {
      const key = format.updateKey(ANNA, 6);
      return db.put(key, vault.seal(Buffer.from('no update at all'), key));
    },
  ],
  [
    "another user's update",
    'anna document',
    async (db) => db.put(format.updateKey(ANNA, 6), (await db.get(format.updateKey(BERT, 6))) ?? Buffer.of()),
  ],
  ['an entry of the history that changed', 'anna history', (db) => flip(db, format.historyKey(ANNA, 4))],
  ['an entry of the history missing', 'anna history', (db) => db.del(format.historyKey(ANNA, 4))],
  [
    'an entry of the history too many',
    'anna history',
    (db, vault) => {
      const key = format.historyKey(ANNA, 9);
      return db.put(key, vault.seal(entry('9'), key));
    },
  ],
  [
    'a device that changed',
    'anna device',
    async (db) => flip(db, await first(db, format.namedRange('device', ANNA))),
  ],
  [
    'a deletion that changed',
    'anna deletion',
    async (db) => flip(db, await first(db, format.namedRange('deleted', ANNA))),
  ],
  ['a view that changed', 'anna view', (db) => flip(db, format.viewKey(ANNA))],
  ['a rest row that changed', 'anna view', (db) => flip(db, format.restKey(ANNA))],
  ['a list of devices that changed', 'anna seen', (db) => flip(db, format.seenKey(ANNA))],
  ['a visit that changed', 'anna visit', (db) => changeByte(db, format.plainVisitKey(ANNA), 0, 1)],
  [
    'a tombstone that is none',
    'anna document',
    (db) => db.put(format.tombstoneKey(ANNA), Buffer.from('what')),
  ],
  ['a note that changed', 'null note', (db) => changeByte(db, format.noteKey('clock'), 0, 1)],
  ['a key of nobody', 'null database', (db) => db.put(Buffer.from('!sync!what!anna'), Buffer.of(1))],
];

describe.each([
  ['with checksums', undefined],
  ['encrypted', RING],
])('[P5] a database %s', (_, keys) => {
  beforeEach(async () => {
    fixture = await LevelFixture.create(keys);
    await fill();
  });

  const vaultOf = async (db: Database): Promise<Vault> =>
    keys === undefined
      ? plainVaults.none
      : new CipherVaults(keys).of(ANNA, await db.get(format.wrappedKey(ANNA)));

  test('in order: nothing is found, and nothing changed', async () => {
    const all = () => edit((db) => db.iterator().all());
    const before = await all();
    expect(await found(keys)).toEqual([]);
    expect(await all()).toEqual(before);
  });

  test.each(DAMAGES)('%s is found, and nothing else', async (_what, finding, inflict) => {
    await edit(async (db) => inflict(db, await vaultOf(db)));
    const findings = await found(keys);
    expect(new Set(findings)).toEqual(new Set([finding]));
  });

  test('the state vector missing is found where y-leveldb could read it', async () => {
    await edit((db) => db.del(format.stateVectorKey(ANNA)));
    expect(await found(keys)).toEqual(keys === undefined ? ['anna vector'] : []);
  });

  test('a file of LevelDB that is missing or damaged', async () => {
    const away = `${fixture.folder}-away`;
    const whole = new Map<string, Buffer>();
    for (const name of await readdir(fixture.folder))
      whole.set(name, await readFile(join(fixture.folder, name)));
    for (const [name, bytes] of whole) {
      if (!/^(CURRENT|MANIFEST-\d+|\d+\.log)$/.test(name) || bytes.length === 0) continue;
      await rename(join(fixture.folder, name), away);
      expect([name, await found(keys)]).toEqual([name, ['null database']]);
      await rename(away, join(fixture.folder, name));
    }
    await rm(away, { force: true });
  });
});

/** What makes the keys of one user, each as `format.ts` has it. */
const OF_A_USER = Object.entries(format).flatMap(([name, make]) =>
  typeof make === 'function' && name.endsWith('Key') && !['noteKey', 'namedKey', 'onlyKey'].includes(name)
    ? [[name, make as (user: string, ...rest: readonly number[]) => Uint8Array] as const]
    : [],
);

test.each(OF_A_USER)('[P5] it is known whose each kind of key is: %s', (_, make) => {
  for (const name of ['anna', 'a!b%21', 'ä ö']) expect(ownerOf(make(name, 1, 1))).toBe(name);
});

test('[P5] what belongs to nobody is known as that', () => {
  const keys = Object.entries(format).flatMap(([name, key]) =>
    name.endsWith('_KEY') && Buffer.isBuffer(key) ? [key] : [],
  );
  expect(keys.length).toBeGreaterThan(2);
  for (const key of [...keys, format.noteKey('clock')]) expect(ownerOf(key)).toBeNull();
});

describe('[P5] an encrypted database', () => {
  beforeEach(async () => {
    fixture = await LevelFixture.create(RING);
    await fill();
  });

  test.each([
    ['that changed', (db: Database) => changeByte(db, format.wrappedKey(ANNA), 20)],
    ['missing', (db: Database) => db.del(format.wrappedKey(ANNA))],
  ])('with a key of a user %s', async (_, inflict) => {
    await edit(inflict);
    expect(await found(RING)).toEqual(['anna key']);
  });

  test('is not looked at without its key', async () => {
    await expect(found()).rejects.toThrow('set ENCRYPTION_KEY');
    await expect(found(KeyRing.parse(newKey()))).rejects.toThrow('not among those given');
  });
});

describe('[P5] telemed-sync check', () => {
  beforeEach(async () => {
    fixture = await LevelFixture.create();
  });

  test('says what it found, for whom, and what that means; a server that runs is left alone', async () => {
    const env = { DATA_DIR: fixture.folder };
    expect(await command(['check'], env)).toMatchObject({ code: 1, data: { error: expect.any(String) } });
    await fill();
    expect(await command(['check'], env)).toMatchObject({ code: 0, data: { users: 2, findings: [] } });
    await edit((db) => db.del(format.updateKey(ANNA, 6)));
    expect(await command(['check'], env)).toMatchObject({
      code: 1,
      data: { findings: [{ user: ANNA, part: 'document', reason: expect.stringContaining('missing') }] },
    });
    const store = await fixture.open();
    const refused = await command(['check'], env);
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('in use by another process')]);
    await store.close();
    await writeFile(join(fixture.folder, 'CURRENT'), 'what');
    expect(await command(['check'], env)).toMatchObject({
      code: 1,
      data: { findings: [{ user: null, part: 'database' }] },
    });
  });
});

describe('[P5] telemed-sync repair', () => {
  test('looks at the key before it changes anything, and names what else is damaged', async () => {
    fixture = await LevelFixture.create(RING);
    await fill();
    await edit((db) => db.del(format.historyKey(ANNA, 4)));
    const files = () => readdir(fixture.folder);
    const before = await files();
    for (const key of [{}, { ENCRYPTION_KEY: newKey() }]) {
      const refused = await command(['repair', fixture.folder], key);
      expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('is encrypted')]);
    }
    expect(await files()).toEqual(before);
    expect(await command(['repair', fixture.folder], { ENCRYPTION_KEY: KEY })).toMatchObject({
      code: 0,
      data: { documents: 2, whole: 2, damaged: [], findings: [{ user: ANNA, part: 'history' }] },
    });
  });
});
