import { describe, expect, it } from 'vitest';
import { asyncStorage } from '../../../../client/local-store/async-storage/async-storage.js';
import { fromBase64, toBase64 } from '../../../../client/local-store/base64.js';
import type { LocalStore, StoredChange } from '../../../../client/local-store/store.js';
import { localStoreContract } from '../../../contract/local-store-contract.js';
import { AsyncItems } from '../../../support/async-items.js';
import { bytes, Listener, put, putPending, read } from '../../../support/local-store.js';

/** Every how many characters: `DAMAGE_STRIDE=1` takes all of them. */
const STRIDE = Number(process.env.DAMAGE_STRIDE ?? 3);

const full = (): Error => new Error('database or disk is full (code 13 SQLITE_FULL)');

localStoreContract(
  'AsyncStorage, over a stand-in',
  async () => {
    const items = new AsyncItems();
    return {
      storage: () => asyncStorage(items),
      fillUp: () => {
        items.failure = full();
      },
      remove: async () => {},
    };
  },
  { secondStore: 'refused', canBeFull: true, runs: 100 },
);

const open = (items: AsyncItems): Promise<LocalStore> => asyncStorage(items).open('anna', new Listener());
const large = (character: string): string => character.repeat(600_000);
const shorten = (texts: readonly string[]): string[] => texts.map((text) => text.slice(0, 2));

interface Scene {
  readonly before: (store: LocalStore) => Promise<unknown>;
  readonly call: (store: LocalStore) => Promise<unknown>;
  /** What may be there afterwards: nothing of the call, or all of it. */
  readonly either: readonly string[];
  readonly or: readonly string[];
}

const SCENES: Readonly<Record<string, Scene>> = {
  append: {
    before: (store) => putPending(store, 'a'),
    call: (store) => putPending(store, 'b', large('c')),
    either: ['a!'],
    or: ['a!', 'b!', 'cc'],
  },
  confirm: {
    before: (store) => putPending(store, 'a', 'b'),
    call: (store) => store.confirm([1, 2]),
    either: ['a!', 'b!'],
    or: ['a', 'b'],
  },
  compact: {
    before: async (store) => [await put(store, 'a', large('b')), await putPending(store, 'm')],
    call: (store) => store.compact(3, bytes(large('s'))),
    either: ['a', 'bb', 'm!'],
    or: ['m!', 'ss'],
  },
  clear: {
    before: (store) => put(store, 'a', large('b')),
    call: (store) => store.clear('cleared'),
    either: ['a', 'bb'],
    or: [],
  },
};

describe('AsyncStorage, over a stand-in', () => {
  for (const [name, scene] of Object.entries(SCENES)) {
    it.each([false, true])(
      `[C5] a process that ends at any write of ${name} leaves all of it or nothing (last write carried out: %s)`,
      async (carriedOut) => {
        const outcomes = new Set<string>();
        for (let endsAt = -1; ; endsAt += 1) {
          const items = new AsyncItems();
          const store = await open(items);
          await scene.before(store);
          items.restart();
          items.endsAt = endsAt;
          items.lastIsCarriedOut = carriedOut;
          const done = await scene.call(store).then(
            () => true,
            () => false,
          );
          const survived = items.writes <= endsAt;
          items.restart();
          await store.close();
          const again = await open(items);
          const texts = shorten(await read(again));
          outcomes.add(JSON.stringify(texts));
          expect([scene.either, scene.or]).toContainEqual(texts);
          if (done) expect(texts).toEqual(scene.or);
          // What had no name yet may be another runtime's: it goes with the next writes, and at once without a head.
          if (texts.length > 0) await put(again, large('x'), 'y', 'z');
          await again.close();
          await (await open(items)).close();
          expect(leftovers(items)).toEqual([]);
          if (survived) break;
        }
        expect(outcomes).toEqual(new Set([JSON.stringify(scene.either), JSON.stringify(scene.or)]));
      },
    );
  }

  it('[C5] no item is longer than Android reads, and no other than the store of the user is touched', async () => {
    const items = new AsyncItems();
    items.items.set('telemed-sync/user/n-annabel/head', 'of another user');
    const store = await open(items);
    await store.append(() => [{ bytes: new Uint8Array(2_000_000), pending: false }]);
    expect(items.longest).toBeGreaterThan(400_000);
    expect(items.longest).toBeLessThan(1_000_000);
    await store.clear('cleared');
    expect([...items.items.keys()]).toEqual(['telemed-sync/user/n-annabel/head']);
  });

  it('[C5] a thousand changes of a long time offline keep the head short', async () => {
    const items = new AsyncItems();
    const store = await open(items);
    for (let i = 0; i < 1_000; i += 1) await putPending(store, `${i}`);
    expect(items.items.get('telemed-sync/user/n-anna/head')?.length).toBeLessThan(100);
    await store.close();
    expect(await read(await open(items))).toHaveLength(1_000);
  });

  it('[C7] a head that was stored although the call failed counts; one that nobody can read back ends the store', async () => {
    const items = new AsyncItems();
    const store = await open(items);
    const { setItem, getItem } = items;
    let heads = 0;
    items.setItem = async (key, value) => {
      await setItem.call(items, key, value);
      if (!key.endsWith('head')) return;
      heads++;
      throw full();
    };
    await put(store, 'a');
    items.getItem = async (key) => {
      if (heads > 1) throw new Error('gone');
      return getItem.call(items, key);
    };
    await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(put(store, 'c')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await store.close();
    const next = new AsyncItems();
    for (const [key, value] of items.items) next.items.set(key, value);
    expect(await read(await open(next))).toEqual(['a', 'b']);
  });

  it('[C7] CORRUPT when the head is of another version', async () => {
    const items = new AsyncItems();
    await put(await open(items), 'abcd');
    const next = new AsyncItems();
    for (const [key, value] of items.items) next.items.set(key, value);
    next.items.set('telemed-sync/user/n-anna/head', '{"version":2}');
    await expect(open(next)).rejects.toMatchObject({ code: 'CORRUPT' });
  });

  it.each([
    ['cut off', (head: string) => head.slice(0, 20)],
    ['another text', () => 'what?'],
    ['short of a change', (head: string) => head.replace('[1,1,', '[2,1,')],
  ])('[C12] a head that is %s is made anew from the changes, and that is told', async (_, damage) => {
    const items = new AsyncItems();
    const store = await open(items);
    const [key = 0] = await putPending(store, 'pending');
    await put(store, 'settled');
    await putPending(store, 'x'.repeat(600_000));
    await store.close();
    const head = 'telemed-sync/user/n-anna/head';
    items.items.set(head, damage(items.items.get(head) ?? ''));
    const again = await open(items);
    const found: StoredChange[] = [];
    await again.append(({ changes }) => {
      found.push(...changes);
      return [];
    });
    expect(found.map(({ bytes, pending }) => [bytes.length, pending])).toEqual([
      [0, false],
      [7, true],
      [7, false],
      [600_000, true],
    ]);
    await again.confirm([key]);
    await again.close();
    expect((await read(await open(items))).map((text) => text.slice(0, 7))).toEqual([
      'pending',
      'settled',
      'xxxxxxx',
    ]);
  });

  it('[C12] one flipped bit anywhere costs one change at most, and that is told', async () => {
    const items = new AsyncItems();
    const store = await open(items);
    const texts = ['a', 'bb', 'ccc', 'dddd'];
    for (const text of texts) await putPending(store, text);
    await store.close();
    for (const [name, value] of items.items) {
      for (let at = 0; at < value.length; at += STRIDE) {
        const next = new AsyncItems();
        for (const each of items.items) next.items.set(...each);
        const flipped = String.fromCharCode(value.charCodeAt(at) ^ (1 << (at % 7)));
        next.items.set(name, value.slice(0, at) + flipped + value.slice(at + 1));
        const found: StoredChange[] = [];
        const again = await open(next);
        await again.append(({ changes }) => {
          found.push(...changes);
          return [];
        });
        const place = `${name} ${at} ${flipped}`;
        const whole = found.filter(({ bytes, pending }) => pending && bytes.length > 0);
        // Within a change the bytes have a checksum of their own (stored-bytes.ts): a flip there may go unnoticed here.
        const right = whole.filter(({ bytes }) => texts.includes(Buffer.from(bytes).toString()));
        expect(right.length, place).toBeGreaterThanOrEqual(3);
        expect(whole.length === 4 || found.some(({ bytes }) => bytes.length === 0), place).toBe(true);
        await put(again, 'more');
        await again.close();
      }
    }
  });

  it.each<[string, (items: Map<string, string>) => void]>([
    ['missing', (items) => items.delete('telemed-sync/user/n-anna/1.0')],
    ['cut off', (items) => items.set('telemed-sync/user/n-anna/1.0', '4:YWJj')],
    ['no text of ours', (items) => items.set('telemed-sync/user/n-anna/1.0', '?')],
  ])('[C12] a change that is %s stands for nothing, and the others stay', async (_, damage) => {
    const items = new AsyncItems();
    const store = await open(items);
    await put(store, 'abcd');
    await put(store, 'other');
    await store.close();
    damage(items.items);
    expect(await read(await open(items))).toEqual(['', 'other']);
  });

  it('[C12] storage that the app emptied is noticed by the next write', async () => {
    const items = new AsyncItems();
    const store = await open(items);
    await put(store, 'a');
    items.items.clear();
    await expect(put(store, 'b')).rejects.toMatchObject({ code: 'BLOCKED' });
  });

  it('[C12] a runtime that opens removes nothing that another one is about to name', async () => {
    const items = new AsyncItems();
    const other = new AsyncItems();
    Object.defineProperty(other, 'items', { value: items.items });
    const one = await open(items);
    await put(one, 'first');
    const { setItem } = items;
    items.setItem = async (key, value) => {
      if (key.endsWith('head')) await (await open(other)).close();
      await setItem.call(items, key, value);
    };
    await put(one, 'a');
    await one.close();
    expect(await read(await open(other))).toEqual(['first', 'a']);
  });

  it('[C12] of two runtimes on one storage each notices what the other wrote, and overwrites nothing', async () => {
    const items = new AsyncItems();
    const other = new AsyncItems();
    Object.defineProperty(other, 'items', { value: items.items });
    const [one, two] = [await open(items), await open(other)];
    await put(one, 'a');
    await expect(put(two, 'b')).rejects.toMatchObject({ code: 'BLOCKED' });
    await put(one, 'c');
    await two.close();
    const again = await open(other);
    await put(again, 'b');
    await expect(put(one, 'd')).rejects.toMatchObject({ code: 'BLOCKED' });
    await again.close();
    expect(await read(await open(other))).toEqual(['a', 'c', 'b']);
  });

  it('[C5] base64 is that of everyone else, without btoa and Buffer', () => {
    for (let length = 0; length < 70; length += 1) {
      const data = Uint8Array.from({ length }, (_, i) => (i * 83 + length * 7) & 255);
      const text = Buffer.from(data).toString('base64');
      const [btoa, buffer] = [globalThis.btoa, globalThis.Buffer];
      Object.assign(globalThis, { btoa: undefined, Buffer: undefined });
      const coded = toBase64(data);
      const decoded = fromBase64(text);
      Object.assign(globalThis, { btoa, Buffer: buffer });
      expect(coded).toBe(text);
      expect(decoded).toEqual(data);
    }
    expect(['A', 'AB', 'AB=', 'A===', '====', 'AB*=', 'äöüß'].map(fromBase64)).toEqual(Array(7).fill(null));
  });
});

/** Items of the store that its head does not name. */
function leftovers({ items }: AsyncItems): string[] {
  const head = items.get('telemed-sync/user/n-anna/head');
  const runs: number[][] = head === undefined ? [] : JSON.parse(head).runs;
  const named = runs.flatMap(([first = 0, count = 0, , chunks = 0]) =>
    Array.from({ length: count * chunks }, (_, i) => `${first + Math.floor(i / chunks)}.${i % chunks}`),
  );
  const there = [...items.keys()].map((key) => key.split('/').at(-1) ?? '').filter((key) => key !== 'head');
  return there.filter((key) => !named.includes(key));
}
