/** Rest rows at hand (decision 045). */
import { afterEach, describe, expect, it } from 'vitest';
import { KeyRing, newKey } from '../../../../server/store/encryption/key-ring.js';
import { updateKey } from '../../../../server/store/format.js';
import type { LevelStore } from '../../../../server/store/level/level-store.js';
import { readRests } from '../../../../server/store/level/rest.js';
import { RestMemory } from '../../../../server/store/level/rest-memory.js';
import type { RestRows } from '../../../../server/store/level/rest-rows.js';
import type { RestRow, Store } from '../../../../server/store/store.js';
import type { UserId } from '../../../../shared/names.js';
import { seededRandom } from '../../../support/hostile.js';
import { changeByte, databaseOf, LevelFixture } from '../../../support/level-fixture.js';
import { Author, putToRest, stateReached, user, writeNotes } from '../../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const RING_TEXT = newKey();
const RING = KeyRing.parse(RING_TEXT);
const ENOUGH = 2 ** 20;
const NO_DELETIONS = Uint8Array.of(0, 0);

let fixture: LevelFixture;
afterEach(() => fixture.remove());

async function openWith(...names: UserId[]): Promise<{ store: LevelStore; rows: RestRow[] }> {
  fixture = await LevelFixture.create();
  const store = await fixture.open({ restBudget: ENOUGH });
  const rows: RestRow[] = [];
  for (const name of names) rows.push(await putToRest(store, name));
  return { store, rows };
}

describe('rest rows at hand', () => {
  it('[N2] one that was read is at hand the next time, also where it is encrypted', async () => {
    for (const keys of [undefined, RING]) {
      fixture = await LevelFixture.create(keys);
      const store = await fixture.open({ restBudget: ENOUGH });
      const row = await putToRest(store, ANNA);
      expect(store.restAtHand(ANNA)).toBeNull();
      expect(await store.rest(ANNA)).toEqual(row);
      expect(store.restAtHand(ANNA)).toEqual(row);
      expect(await store.whole(ANNA, 3)).toEqual((await store.load(ANNA)).updates[0]);
      await fixture.remove();
    }
  });

  it('[N2] where there is none, or nothing may be kept, there is none at hand', async () => {
    const { store } = await openWith(ANNA);
    await store.rest(BERT);
    expect(store.restAtHand(BERT)).toBeNull();
    await store.close();
    const without = await fixture.open();
    await without.rest(ANNA);
    expect(without.restAtHand(ANNA)).toBeNull();
  });

  type Change = [string, (store: Store, author: Author) => Promise<unknown>];
  const changes: Change[] = [
    ['a commit', (store, author) => store.commit(ANNA, { update: author.set('a', 1), revision: 4 })],
    ['a compaction', (store, author) => store.compact(ANNA, { ...author.snapshot(), revision: 3 })],
    ['an erasure', (store) => store.erase(ANNA, Uint8Array.of(1))],
  ];

  it.each(changes)('[N2] [P7] %s ends it as soon as it is handed over, of nobody else', async (_, change) => {
    const { store, rows } = await openWith(ANNA, BERT);
    await Promise.all([store.rest(ANNA), store.rest(BERT)]);
    await store.load(ANNA);
    const done = change(store, new Author());
    expect([store.restAtHand(ANNA), store.restAtHand(BERT)]).toEqual([null, rows[1]]);
    expect(await store.rest(ANNA)).toBeNull();
    await done;
    expect([await store.rest(ANNA), store.restAtHand(ANNA)]).toEqual([null, null]);
  });

  it.each(changes)('[N2] %s while it is read: what was read does not count later', async (_, change) => {
    for (const isFirst of [true, false]) {
      const { store } = await openWith(ANNA);
      await store.load(ANNA);
      const early = isFirst ? store.rest(ANNA) : null;
      const done = change(store, new Author());
      const late = isFirst ? null : store.rest(ANNA);
      await Promise.all([early, late, done]);
      expect(store.restAtHand(ANNA)).toBeNull();
      expect(await store.rest(ANNA)).toBeNull();
      await fixture.remove();
    }
  });

  it('[P3] a store that was opened anew has nothing at hand', async () => {
    const { store, rows } = await openWith(ANNA, BERT);
    await store.rest(ANNA);
    await store.load(BERT);
    fixture.failNextBatch();
    const failed = store.commit(BERT, { update: new Author().set('a', 1), revision: 4 });
    await expect(failed).rejects.toMatchObject({ code: 'NOT_SAVED' });
    expect(store.restAtHand(ANNA)).toBeNull();
    await stateReached(store, 'ready');
    expect(store.restAtHand(ANNA)).toBeNull();
    expect(await store.rest(ANNA)).toEqual(rows[0]);
  });

  it('[P5] of a document that turns out to be damaged nothing is at hand any more', async () => {
    const { store } = await openWith(ANNA);
    const reads = [() => store.check(ANNA), () => store.load(ANNA), () => store.whole(ANNA, 3)];
    const [snapshot] = (await databaseOf(store)
      .keys({ gte: updateKey(ANNA, 0), limit: 1 })
      .all()) as [Buffer];
    for (const read of reads) {
      await store.rest(ANNA);
      expect(store.restAtHand(ANNA)).not.toBeNull();
      await changeByte(databaseOf(store), snapshot, 0);
      await expect(read()).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      expect(store.restAtHand(ANNA)).toBeNull();
      await changeByte(databaseOf(store), snapshot, 0);
    }
  });

  it('[P7] what is encrypted on disk is so in memory, and is read anew where its key has changed', async () => {
    fixture = await LevelFixture.create(RING);
    const store = await fixture.open({ restBudget: ENOUGH });
    const row = await putToRest(store, ANNA, Buffer.from('deletions-value'));
    const vaults = (store as unknown as { vaults: Parameters<typeof readRests>[2] }).vaults;
    const [read] = await readRests(databaseOf(store), [ANNA], vaults);
    expect(Buffer.from(read?.sealed.noted ?? []).includes('deletions-value')).toBe(false);
    await store.rest(ANNA);
    const next = newKey();
    await store.changeKeys(KeyRing.parse(`${next}\n${RING_TEXT}`));
    await store.changeKeys(KeyRing.parse(next));
    expect(store.restAtHand(ANNA)).toBeNull();
    expect(await store.rest(ANNA)).toEqual({ ...row, deletions: new Uint8Array(row.deletions) });
    expect(store.restAtHand(ANNA)).not.toBeNull();
  });

  it('[N2] [P8] all can be read ahead, as far as there is room, and a store that closes meanwhile does so', async () => {
    fixture = await LevelFixture.create();
    const written = await fixture.open();
    const names = Array.from({ length: 600 }, (_, index) => user(`u${String(index).padStart(3, '0')}`));
    await written.load(ANNA);
    const { update, stateVector } = (await writeNotes(written, ANNA, 1)).snapshot();
    for (const name of names) await written.load(name);
    await Promise.all(
      names.map(async (name) => {
        await written.commit(name, { update, revision: 1 });
        await written.putToRest(name, {
          revision: 1,
          stateVector,
          deletions: NO_DELETIONS,
          isWhole: true,
          hasView: false,
        });
      }),
    );
    const atHand = async (restBudget: number) => {
      await fixture.store?.close();
      const store = await fixture.open({ restBudget });
      await store.readAhead();
      return names.filter((name) => store.restAtHand(name) !== null).length;
    };
    expect(await atHand(ENOUGH)).toBe(600);
    const some = await atHand(100_000);
    expect(some).toBeGreaterThan(200);
    expect(some).toBeLessThan(400);
    const ahead = fixture.store?.readAhead().catch(() => {});
    await fixture.store?.close();
    await ahead;
  });

  it('[N2] whatever comes in whatever order, it tells what is stored', async () => {
    const { store, rows } = await openWith(ANNA);
    const random = seededRandom(45);
    const author = new Author();
    let [revision, expected] = [3, rows[0] as RestRow | null];
    for (let step = 0; step < 150; step++) {
      const reading = random() < 0.5 ? store.rest(ANNA) : null;
      if (random() < 0.3) {
        await store.load(ANNA);
        void store.commit(ANNA, { update: author.set('a', step), revision: ++revision });
        expected = null;
      }
      if (random() < 0.3) {
        await store.load(ANNA);
        expected = {
          revision,
          stateVector: Uint8Array.of(step % 100),
          deletions: NO_DELETIONS,
          isWhole: false,
          hasView: false,
        };
        void store.putToRest(ANNA, expected);
      }
      if (random() < 0.5) await reading;
      if (random() < 0.5) await new Promise(setImmediate);
      if (random() < 0.5) expect([null, expected]).toContainEqual(store.restAtHand(ANNA));
      if (random() < 0.5) expect(await store.rest(ANNA)).toEqual(expected);
    }
  });
});

describe('the memory of rest rows', () => {
  const sealed = { noted: new Uint8Array(100), wrapped: undefined };
  const keep = (memory: RestMemory, name: string): void =>
    memory.keep(user(name), memory.expect(user(name)), sealed);
  const known = (memory: RestMemory, names: readonly string[]): string[] =>
    names.filter((name) => memory.get(user(name)) !== undefined);

  it('[P8] it keeps to its budget; what was used least recently goes first', () => {
    const memory = new RestMemory(1_100); // three of them
    for (const name of ['a', 'b', 'c']) keep(memory, name);
    expect(known(memory, ['b', 'c', 'a'])).toEqual(['b', 'c', 'a']);
    keep(memory, 'd');
    expect(known(memory, ['a', 'b', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    const large = { noted: new Uint8Array(2_000), wrapped: undefined };
    memory.keep(ANNA, memory.expect(ANNA), large);
    expect(known(memory, ['anna', 'a', 'c', 'd'])).toEqual(['a', 'c', 'd']);
    memory.clear();
    expect(known(memory, ['a', 'c', 'd'])).toEqual([]);
    for (const name of ['a', 'b', 'c']) keep(memory, name);
    expect(known(memory, ['a', 'b', 'c'])).toEqual(['a', 'b', 'c']);
  });

  it('[N2] what was read while something was changed is not kept', () => {
    const memory = new RestMemory(ENOUGH);
    const before = memory.expect(ANNA);
    memory.drop(ANNA);
    memory.keep(ANNA, before, sealed);
    const again = memory.expect(ANNA);
    memory.keep(ANNA, before, sealed);
    expect(known(memory, ['anna'])).toEqual([]);
    memory.keep(ANNA, again, sealed);
    expect(known(memory, ['anna'])).toEqual(['anna']);
  });
});

describe('what is read where a document is known to be as it was noted', () => {
  it('[L1] [N2] it is read once more, without that knowledge, where something was changed meanwhile', async () => {
    const { store } = await openWith(ANNA);
    const { rests } = store as unknown as { rests: RestRows };
    const told: boolean[] = [];
    const read = (change?: () => unknown) =>
      rests.asNoted(ANNA, async (isNoted) => {
        told.push(isNoted);
        if (isNoted) await change?.();
        return isNoted;
      });
    expect(await read()).toBe(false);
    await store.rest(ANNA);
    expect(await read()).toBe(true);
    await store.load(ANNA);
    const commit = () => store.commit(ANNA, { update: new Author().set('a', 1), revision: 4 });
    expect(await read(commit)).toBe(false);
    expect(told).toEqual([false, true, true, false]);
  });
});
