import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { StorageError } from '../../../client/errors.js';
import type { CollectionName, RecordId } from '../../../shared/names.js';
import { writeRecord } from '../../../shared/records.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { ManualClock } from '../../support/manual-clock.js';
import { Tab } from '../../support/tab.js';

const failure = () => new StorageError('QUOTA', 'The device is full.');

describe('what is pending', () => {
  test('[C4] each resolved write counts once, a deletion and many at once as well', async () => {
    const tab = await Tab.open(new BreakableStorage());
    await tab.set('a', 1);
    await Promise.all([tab.set('b', 2), tab.set('c', 3)]);
    await tab.replica.write((doc) => doc.getMap('notes').delete('a'));
    expect(tab.count).toBe(4);
    expect(tab.replica.pendingAfter(0)).toHaveLength(4);
  });

  test('[C4] a write that changes nothing is no change', async () => {
    const tab = await Tab.open(new BreakableStorage());
    await tab.replica.write((doc) => doc.getMap('notes').delete('nothing'));
    expect(tab.count).toBe(0);
  });

  test('[C4] it survives a restart, and so does a confirmation', async () => {
    const storage = new BreakableStorage();
    const first = await Tab.open(storage);
    for (const key of ['a', 'b', 'c']) await first.set(key, 1);
    const [, second] = first.replica.pendingAfter(0);
    first.replica.confirm(second?.number ?? 0);
    await first.until(() => first.count === 1, 'one is left');
    await first.replica.close();
    const again = await Tab.open(storage);
    expect(again.count).toBe(1);
    expect(again.notes()).toEqual({ a: 1, b: 1, c: 1 });
  });

  test('[C4] a confirmed change is sent no more, and counts until its mark is off in the store', async () => {
    const tab = await Tab.open(new BreakableStorage());
    await tab.set('a', 1);
    tab.replica.confirm(tab.last());
    expect(tab.replica.pendingAfter(0)).toEqual([]);
    expect(tab.count).toBe(1);
    await tab.until(() => tab.count === 0, 'nothing is pending');
    tab.replica.confirm(tab.last() + 1); // a doubled checkpoint
    expect(tab.count).toBe(0);
  });

  test('[C4] what the server sends is stored, and does not count', async () => {
    const storage = new BreakableStorage();
    const tab = await Tab.open(storage);
    const other = new Y.Doc();
    other.getMap('notes').set('x', 'from afar');
    await tab.replica.applyRemote(Y.encodeStateAsUpdate(other));
    await tab.replica.applyRemote(Y.encodeStateAsUpdate(other));
    expect(tab.count).toBe(0);
    await tab.replica.close();
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ x: 'from afar' });
    expect(again.count).toBe(0);
  });

  test('[D4 C4] what lost against a concurrent creation can still be sent, after a restart too', async () => {
    const storage = new BreakableStorage();
    const tab = await Tab.open(storage);
    await tab.replica.write((doc) => doc.getMap('notes').set('x', new Y.Map([['mine', 1]])));
    // The map with the higher client id wins; one of these has one.
    for (const client of [1, 2 ** 32 - 1]) {
      const other = new Y.Doc();
      other.clientID = client;
      other.getMap('notes').set('x', new Y.Map([['theirs', 2]]));
      await tab.replica.applyRemote(Y.encodeStateAsUpdate(other));
    }
    await tab.replica.close();
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ x: { theirs: 2 } });
    const server = new Y.Doc();
    for (const { update } of again.replica.pendingAfter(0)) Y.applyUpdate(server, update);
    expect(server.getMap('notes').toJSON()).toEqual({ x: { mine: 1 } });
  });

  test('[C3] a write that throws is refused, changes nothing and does not count', async () => {
    const tab = await Tab.open(new BreakableStorage());
    const write = tab.replica.write(() => {
      throw new Error('no such record');
    });
    await expect(write).rejects.toThrow('no such record');
    expect(tab.count).toBe(0);
  });

  test('a write in a listener of a write is carried out', async () => {
    const tab = await Tab.open(new BreakableStorage());
    let inner: Promise<unknown> | undefined;
    tab.replica.doc.getMap('notes').observe((event) => {
      if (event.keysChanged.has('a')) inner = tab.set('b', 2);
    });
    await tab.set('a', 1);
    await inner;
    expect(tab.notes()).toEqual({ a: 1, b: 2 });
    expect(tab.count).toBe(2);
  });
});

describe('[C3] a write', () => {
  test('is in the document before it returns, and pending once it is stored', async () => {
    const tab = await Tab.open(new BreakableStorage());
    const seen: unknown[] = [];
    tab.replica.doc.getMap('notes').observe(() => seen.push(tab.notes()));
    const writes = [...'abc'].map((letter) => tab.set('a', letter));
    expect(tab.notes()).toEqual({ a: 'c' });
    expect(seen).toEqual([{ a: 'a' }, { a: 'b' }, { a: 'c' }]);
    expect(tab.count).toBe(0);
    await Promise.all(writes);
    expect(tab.count).toBe(3);
  });

  test('that throws half way keeps what it did, and the next ones are stored', async () => {
    const storage = new BreakableStorage();
    const tab = await Tab.open(storage);
    const write = tab.replica.write((doc) => {
      doc.getMap('notes').set('a', 1);
      throw new Error('half way');
    });
    await expect(write).rejects.toThrow('half way');
    await tab.set('b', 2);
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ a: 1, b: 2 });
  });

  test('[C12] on which Yjs throws has the document opened anew', async () => {
    const storage = new BreakableStorage();
    const tab = await Tab.open(storage);
    await tab.set('a', 1);
    const write = tab.replica.write((doc) => {
      const unreadable = Object.defineProperty({}, 'x', {
        enumerable: true,
        get() {
          throw new Error('a fault of Yjs');
        },
      });
      doc.getMap('notes').set('b', unreadable); // Yjs reads it when it encodes the update
    });
    const next = tab.set('d', 4); // Yjs would not even say that it is there
    await expect(write).rejects.toThrow('a fault of Yjs');
    await expect(next).rejects.toMatchObject({ code: 'CLOSED' });
    expect(tab.said).toContain('broken');
    const again = await Tab.open(storage);
    await again.set('c', 3);
    expect(again.notes()).toEqual({ a: 1, c: 3 });
    expect(again.count).toBe(2);
  });
});

describe('several tabs', () => {
  test('[C9] share what each writes and what is pending, under client ids of their own', async () => {
    const storage = new BreakableStorage();
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    expect(one.replica.doc.clientID).not.toBe(two.replica.doc.clientID);
    await one.set('a', 1);
    await two.until(() => two.count === 1, 'the other tab knows');
    expect(two.notes()).toEqual({ a: 1 });
    two.replica.confirm(two.last());
    await one.until(() => one.count === 0, 'the first tab knows that it is confirmed');
  });

  test('[C9 D4] a record that two tabs create at once is one record with the fields of both', async () => {
    const storage = new BreakableStorage();
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    const put = (tab: Tab, field: string) =>
      tab.replica.write((doc) => {
        const notes = doc.getMap('notes');
        const record = notes.get('x');
        if (record instanceof Y.Map) record.set(field, 1);
        else notes.set('x', new Y.Map([[field, 1]]));
      });
    await Promise.all([put(one, 'mine'), put(two, 'yours')]);
    await one.until(() => one.count === 2, 'one knows both');
    await two.until(() => two.count === 2, 'two knows both');
    expect(one.notes()).toEqual({ x: { mine: 1, yours: 1 } });
    expect(two.notes()).toEqual(one.notes());
  });

  test.each([0, 1, 2, 3])(
    '[C9 D4] what three tabs create at once is united, whichever is first (%i)',
    async (n) => {
      const storage = new BreakableStorage();
      const tabs = [await Tab.open(storage), await Tab.open(storage), await Tab.open(storage)];
      const put = (tab: Tab, field: string) =>
        tab.replica.write((doc) =>
          writeRecord(doc, 'notes' as CollectionName, 'x' as RecordId, { [field]: { by: field } }),
        );
      const order = tabs.map((_, i) => tabs[(i + n) % 3] as Tab);
      await Promise.all(order.map((tab) => put(tab, `of${tabs.indexOf(tab)}`)));
      for (const tab of tabs) await tab.until(() => tab.count === 3, 'it knows all');
      const united = { x: { of0: { by: 'of0' }, of1: { by: 'of1' }, of2: { by: 'of2' } } };
      for (const tab of tabs) expect(tab.notes()).toEqual(united);
    },
  );

  test('[C9 D4] what another tab made and deleted does not come back with a record of the same id', async () => {
    const storage = new BreakableStorage();
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    const put = (tab: Tab, field: string) =>
      tab.replica.write((doc) =>
        writeRecord(doc, 'notes' as CollectionName, 'x' as RecordId, { [field]: 1 }),
      );
    let open = (): void => {};
    storage.gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const mine = put(two, 'mine');
    storage.gate = Promise.resolve();
    await put(one, 'theirs');
    await one.replica.write((doc) => doc.getMap('notes').delete('x'));
    open();
    await mine;
    await one.until(() => one.count === 3, 'one knows all');
    await two.until(() => two.count === 3, 'two knows all');
    expect(two.notes()).toEqual({ x: { mine: 1 } });
    expect(one.notes()).toEqual({ x: { mine: 1 } });
  });

  test('[C9] one that deletes everything ends the others', async () => {
    const storage = new BreakableStorage();
    const [one, two] = [await Tab.open(storage), await Tab.open(storage)];
    await one.set('a', 1);
    await one.replica.clear(false, 'cleared');
    await two.until(() => two.said.includes('cleared'), 'the other tab is told');
    expect(two.said).toEqual(['cleared']);
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({});
  });
});

describe('storage that fails', () => {
  test('[C7] writes go on in memory, say so, and are stored once it works again', async () => {
    const [storage, clock] = [new BreakableStorage(), new ManualClock()];
    const tab = await Tab.open(storage, clock);
    await tab.set('a', 1);
    storage.failure = failure();
    await tab.set('b', 2);
    await tab.set('c', 3);
    expect(tab.said).toEqual(['QUOTA']);
    expect(tab.replica.durable).toBe(false);
    expect(tab.count).toBe(3);
    storage.failure = null;
    clock.pass(60_000);
    await tab.until(() => tab.replica.durable, 'it is durable again');
    expect(tab.said).toEqual(['QUOTA', 'mended']);
    await tab.replica.close();
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ a: 1, b: 2, c: 3 });
    expect(again.count).toBe(3);
  });

  test('[C12] a compaction for which there is no room is put off, and no loss of the store', async () => {
    const storage = new BreakableStorage();
    const tab = await Tab.open(storage);
    await tab.set('first', 0);
    tab.replica.confirm(tab.last());
    storage.compactions = failure();
    for (let n = 0; n < 1_100; n++) {
      await tab.set('a', n);
      tab.replica.confirm(tab.last());
      if (n % 50 === 0) await tab.until(() => tab.count === 0, 'none is left');
    }
    expect(tab.said).toEqual([]);
    expect(tab.replica.durable).toBe(true);
    expect(storage.refusedCompactions).toBe(2);
  });

  test('[C12] what is pending makes no compaction due: it stays in its row', async () => {
    const storage = new BreakableStorage();
    const tab = await Tab.open(storage);
    storage.compactions = failure();
    for (let n = 0; n < 1_100; n++) await tab.set('a', n);
    expect(storage.refusedCompactions).toBe(0);
  });

  test('[C12] storage that hangs is waited for some seconds, and taken when it opens', async () => {
    const [storage, clock] = [new BreakableStorage(), new ManualClock()];
    const open = storage.open.bind(storage);
    let answer = (): void => {};
    storage.open = async (...args) => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return open(...args);
    };
    const opening = Tab.open(storage, clock);
    clock.pass(5_000);
    const tab = await opening;
    expect(tab.said).toEqual(['BLOCKED']);
    await tab.set('a', 1);
    clock.pass(600_000);
    answer();
    await tab.until(() => tab.replica.durable, 'it is stored');
    expect(tab.said).toEqual(['BLOCKED', 'mended']);
    storage.open = open;
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ a: 1 });
  });

  test('[C7] where it can never be opened, everything works in memory', async () => {
    const storage = new BreakableStorage();
    storage.failure = new StorageError('UNAVAILABLE', 'There is no storage.');
    const tab = await Tab.open(storage);
    await tab.set('a', 1);
    expect(tab.said).toEqual(['UNAVAILABLE']);
    expect(tab.notes()).toEqual({ a: 1 });
    expect(tab.count).toBe(1);
    tab.replica.confirm(tab.last());
    expect(tab.count).toBe(0);
  });

  test('[C7] a database that is deleted under two running tabs is written anew by both', async () => {
    const [storage, clock] = [new BreakableStorage(), new ManualClock()];
    const [one, two] = [await Tab.open(storage, clock), await Tab.open(storage, clock)];
    await one.set('a', 1);
    await two.set('b', 2);
    await one.until(() => one.count === 2, 'both are known');
    storage.loseEverything();
    await one.set('c', 3);
    clock.pass(60_000);
    await one.until(() => one.replica.durable, 'one is durable again');
    await two.until(() => two.replica.durable, 'two is durable again');
    await two.until(() => two.count === 3, 'all three are pending');
    await Promise.all([one.replica.close(), two.replica.close()]);
    const again = await Tab.open(storage);
    expect(again.notes()).toEqual({ a: 1, b: 2, c: 3 });
    expect(again.count).toBe(3);
  });

  test('[C7] a damaged change is named, and the others are used', async () => {
    const storage = new BreakableStorage();
    const first = await Tab.open(storage);
    for (const key of ['a', 'b']) await first.set(key, 1);
    await first.replica.close();
    storage.onRead = (change) =>
      change.key === 1
        ? { ...change, bytes: change.bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte)) }
        : change;
    const again = await Tab.open(storage);
    expect(again.said).toEqual(['CORRUPT']);
    expect(again.replica.durable).toBe(true);
  });

  test('[C7] an update that can not be applied is reported, so that the document is opened anew', async () => {
    const tab = await Tab.open(new BreakableStorage());
    await expect(tab.replica.applyRemote(new Uint8Array([1, 200, 200]))).rejects.toThrow();
    expect(tab.said).toEqual(['broken']);
  });
});

test('[P10] it is compacted once nothing is pending, so that its snapshot has nothing in it that is', async () => {
  const storage = new BreakableStorage();
  const tab = await Tab.open(storage);
  for (let value = 0; value < 1_200; value++) await tab.set('a', value);
  tab.replica.confirm(tab.last() - 1);
  await tab.until(() => tab.count === 1, 'one is left');
  await tab.set('b', 0);
  let rows = 0;
  storage.onRead = (change) => {
    rows++;
    return change;
  };
  const reader = await Tab.open(storage);
  expect(rows).toBe(1_201);
  await reader.replica.close();
  tab.replica.confirm(tab.last());
  await tab.until(() => tab.count === 0, 'none is left');
  await tab.replica.close();
  rows = 0;
  const again = await Tab.open(storage);
  expect(rows).toBe(1);
  expect(again.notes()).toEqual({ a: 1_199, b: 0 });
});

test('[C5] what is stored is compacted, and what is pending stays as it was made', async () => {
  const storage = new BreakableStorage();
  const first = await Tab.open(storage);
  for (let value = 0; value < 2_200; value++) await first.set('a', value);
  first.replica.confirm(first.last() - 3);
  await first.until(() => first.count === 3, 'three are left');
  for (let value = 0; value < 600; value++) await first.set('b', value);
  const pending = first.replica.pendingAfter(0).map(({ update }) => update);
  await first.replica.close();
  let read = 0;
  storage.onRead = (change) => {
    read++;
    return change;
  };
  const again = await Tab.open(storage);
  expect(read).toBeLessThan(1_100);
  expect(again.notes()).toEqual({ a: 2_199, b: 599 });
  expect(again.replica.pendingAfter(0).map(({ update }) => update)).toEqual(pending);
});
