import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as format from '../../../server/store/format.js';
import type { LevelStore } from '../../../server/store/level/level-store.js';
import type { Deletion } from '../../../server/store/store.js';
import type { DeviceId, UserId } from '../../../shared/names.js';
import { changeByte, databaseOf, LevelFixture } from '../../support/level-fixture.js';
import { entry, user, writeHistory } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone' as DeviceId;
const DELETION: Deletion = { collection: 'notes', id: 'n', revision: 1, at: 1_700_000_000_000 };
const ALL = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };

let fixture: LevelFixture;
beforeEach(async () => {
  fixture = await LevelFixture.create();
});
afterEach(() => fixture.remove());

/** Two users of whom there is a record of each kind. */
async function openWithAll(): Promise<LevelStore> {
  const store = await fixture.open();
  for (const name of [ANNA, BERT]) {
    await store.load(name);
    const author = await writeHistory(store, name, 4);
    await store.commit(name, {
      update: author.set('n4', 4),
      revision: 5,
      history: [entry(name, 5)],
      memory: Buffer.from(`memory of ${name}`),
      devices: new Map([[PHONE, Buffer.from('state of the phone')]]),
    });
    await store.prune(name, 1, [DELETION]);
  }
  return store;
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/** What the store gives of a user, each part of it by itself. */
async function shown(store: LevelStore, name: UserId): Promise<Record<string, unknown>> {
  const document = await store.load(name).catch(codeOf);
  const history = await store.history(name, ALL).catch(codeOf);
  const deletions = await store.deletions(name).catch(codeOf);
  return { document, history, deletions };
}

const CORRUPT = 'DOCUMENT_CORRUPT';

describe('a flipped byte, at any position, of each kind of record', () => {
  it.each([
    ['update', format.updateKey(ANNA, 2), { document: CORRUPT }],
    ['row', format.rowKey(ANNA), { document: CORRUPT, history: CORRUPT }],
    ['memory', format.memoryKey(ANNA), { document: CORRUPT }],
    ['history entry', format.historyKey(ANNA, 3), { history: CORRUPT }],
    ['deletion', format.deletionKey(ANNA, 'notes', 'n'), { deletions: CORRUPT }],
    // What the device may have seen is not known any more: it counts as one that was never met.
    ['device state', format.deviceKey(ANNA, PHONE), { document: { devices: new Map() } }],
    // y-leveldb's; the updates say the same, and where the row is in order nobody reads it.
    ['state vector', format.stateVectorKey(ANNA), {}],
  ])(
    '[P5] %s: it is found, and nothing else of that user or of others is touched',
    async (_, key, expected) => {
      const store = await openWithAll();
      const db = databaseOf(store);
      const [anna, bert] = [await shown(store, ANNA), await shown(store, BERT)];
      const damaged: Record<string, unknown> = { ...anna, ...expected };
      if (typeof damaged.document === 'object')
        damaged.document = { ...(anna.document as object), ...damaged.document };
      const length = (await db.get(key))?.length ?? 0;
      expect(length).toBeGreaterThan(4);
      for (let position = 0; position < length; position += 1) {
        const bits = 1 + ((position * 37) % 255);
        await changeByte(db, key, position, bits);
        expect(await shown(store, ANNA), `position ${position}`).toEqual(damaged);
        if (position % 8 === 0) expect(await shown(store, BERT)).toEqual(bert);
        await changeByte(db, key, position, bits);
      }
      expect(await shown(store, ANNA)).toEqual(anna);
    },
  );
});
