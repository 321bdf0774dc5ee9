/** A large document is loaded in steps, and all others have their turn between two. */
import { describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import { MAX_UNCUT } from '../../../../server/documents/line-parts.js';
import { Slices } from '../../../../server/documents/loading/slices.js';
import { messages } from '../../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';
import { NativeLine } from '../../../support/devices/native-line.js';
import { registryOf } from '../../../support/document.js';
import { docOf } from '../../../support/large-document.js';
import { user } from '../../../support/notes.js';
import { jsonOfDoc } from '../../../support/replicas.js';

const ANNA = user('anna');
const BERT = user('bert');
const origin: Origin = { via: 'http', device: 'phone' as DeviceId, actor: null, subscriber: null };
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** How many turns of the event loop pass until it settles. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  work.then(end, end);
  let turns = 0;
  for (; !isOver; turns++) await turn();
  return turns;
}

async function put(store: MemoryStore, of: UserId, doc: Y.Doc): Promise<void> {
  await store.load(of);
  await store.commit(of, { update: Y.encodeStateAsUpdate(doc), revision: 1 });
}

async function stored(records: number) {
  const store = new MemoryStore();
  const doc = docOf(records);
  await put(store, ANNA, doc);
  const rebuilt: string[] = [];
  const registry = registryOf(store, { onRebuilt: (who) => void rebuilt.push(who) });
  return { store, doc, registry, rebuilt };
}

describe('[S] a large document', () => {
  test('is loaded in steps, and whoever asks waits for all of it', async () => {
    const { doc, registry } = await stored(4_000);
    const [first, second] = [registry.open(ANNA), registry.open(ANNA)];
    expect(await turnsOf(first)).toBeGreaterThan(10);
    const { document } = await first;
    expect((await second).document).toBe(document);
    expect(jsonOfDoc(document.doc)).toEqual(jsonOfDoc(doc));
    expect(document.countRecords()).toBe(4_000);
  });

  test('a small one is there at once', async () => {
    const { registry } = await stored(100);
    expect(await turnsOf(registry.open(ANNA))).toBeLessThan(3);
  });

  test('[S1] is made anew in steps after a fault, and what comes meanwhile waits', async () => {
    const { doc, registry, rebuilt } = await stored(4_000);
    const { document } = await registry.open(ANNA);
    const fault = () => {
      throw new Error('as Yjs throws');
    };
    expect(() => document.write(origin, fault)).toThrow('as Yjs throws');
    expect(rebuilt).toEqual([ANNA]);
    const written = new Promise<void>((resolve) =>
      document.whenReady(() => {
        document.write(
          origin,
          (own) => void own.getMap('patients').set('late', new Y.Map([['name', 'Ada']])),
        );
        resolve();
      }),
    );
    expect(await turnsOf(written)).toBeGreaterThan(10);
    expect(document.record({ collection: 'patients', id: 'late' } as never)).toEqual({
      id: 'late',
      name: 'Ada',
    });
    expect(Object.keys(jsonOfDoc(document.doc) as object)).toEqual(Object.keys(jsonOfDoc(doc) as object));
    expect(document.countRecords()).toBe(4_001);
  });

  test('[P7] an erasure that comes while it is loaded erases it', async () => {
    const { store, registry } = await stored(4_000);
    const opened = registry.open(ANNA);
    await turn();
    expect(await registry.erase(ANNA)).toBe(true);
    expect((await opened).document.failure?.code).toBe('ERASED');
    expect((await store.load(ANNA)).updates).toEqual([]);
    expect((await registry.open(ANNA)).document.countRecords()).toBe(0);
  });

  test('a server that stops does not wait for it', async () => {
    const { registry } = await stored(4_000);
    const opened = registry.open(ANNA);
    await turn();
    registry.close();
    await expect(opened).rejects.toMatchObject({ code: 'RESTARTING' });
  });
});

test('[N2] a large answer for a device that has gone is not gone on with', async () => {
  const { registry } = await stored(10_000);
  const { document } = await registry.follow(ANNA);
  const diff = vi.spyOn(document, 'diff');
  const device = new NativeLine({ document, device: 'tablet', now: () => 0, closed: () => {} });
  device.say(messages.syncStep1(Uint8Array.of(0)));
  await turn();
  device.leave();
  await expect(diff.mock.results[0]?.value).rejects.toMatchObject({ code: 'RESTARTING' });
  const asked = diff.mock.calls[0]?.[0] as Uint8Array;
  expect((await document.diff(asked)).length).toBeGreaterThan(100_000);
});

test('[N10] nor is it cut for one', async () => {
  const { registry } = await stored(20_000);
  const { document } = await registry.follow(ANNA);
  const [diff, run] = [vi.spyOn(document, 'diff'), vi.spyOn(Slices.prototype, 'run')];
  const device = new NativeLine({ document, device: 'tablet', now: () => 0, closed: () => {} });
  device.say(messages.syncStep1(Uint8Array.of(0)));
  const update: Uint8Array = await diff.mock.results[0]?.value;
  expect(update.length).toBeGreaterThan(MAX_UNCUT);
  const before = run.mock.results.length;
  await Promise.resolve();
  device.leave();
  const cuts = run.mock.results.slice(before - 1).map(({ value }) => value);
  run.mockRestore();
  await expect(cuts.at(-1)).rejects.toMatchObject({ code: 'RESTARTING' });
});

test('[S] who asks for all of a large document again and again keeps a load of nobody else waiting', async () => {
  const { store, registry } = await stored(10_000);
  await put(store, BERT, docOf(4_000));
  const alone = await turnsOf(registryOf(store).open(BERT));
  const { document } = await registry.open(ANNA);
  const answers = Array.from({ length: 20 }, () => document.diffInSteps(Uint8Array.of(0)));
  expect(await turnsOf(registry.open(BERT))).toBeLessThan(2 * alone + 5);
  const sizes = await Promise.all(answers).then((all) => new Set(all.map(({ length }) => length)));
  expect([...sizes]).toEqual([Y.encodeStateAsUpdate(document.doc).length]);
});

describe('work in slices', () => {
  function* steps(name: string, log: string[]): Generator<void, string> {
    for (let n = 0; n < 3; n++) {
      log.push(name);
      yield;
    }
    return name;
  }

  test('is done one after the other for a user, a step in a turn', async () => {
    const [slices, log] = [new Slices({ turn: 0 }), [] as string[]];
    const works = Promise.all([slices.run(ANNA, steps('a', log)), slices.run(ANNA, steps('b', log))]);
    const seen: number[] = [];
    works.then(() => seen.push(-1));
    while (seen.at(-1) !== -1) {
      seen.push(log.length);
      await turn();
    }
    expect(await works).toEqual(['a', 'b']);
    expect(log).toEqual(['a', 'a', 'a', 'b', 'b', 'b']);
    expect(seen.slice(1, -1).every((count, at) => count - (seen[at] ?? 0) <= 1)).toBe(true);
  });

  test('[S] a turn is so long, whatever a step takes', async () => {
    let time = 0;
    const slices = new Slices({ turn: 6, now: () => time });
    const taking = function* (ms: number): Generator<void, void> {
      for (let n = 0; n < 12; n++) {
        time += ms;
        yield;
      }
    };
    const turns: number[] = [];
    for (const ms of [1, 3, 20]) turns.push(await turnsOf(slices.run(ANNA, taking(ms))));
    expect(turns).toEqual([3, 7, 13]);
  });

  test('[S] users take turns, a step each; of a user, one work is half done', async () => {
    const [slices, log] = [new Slices({ turn: 0 }), [] as string[]];
    const anna = ['a1', 'a2', 'a3'].map((name) => slices.run(ANNA, steps(name, log)));
    const bert = slices.run(BERT, steps('b', log));
    await Promise.all([...anna, bert]);
    expect(log.join(' ')).toBe('a1 b a1 b a1 b a2 a2 a2 a3 a3 a3');
  });

  test('[S] of many users, so many have a work half done; who has had one waits behind the others', async () => {
    const [slices, log] = [new Slices({ turn: 0, atOnce: 2 }), [] as string[]];
    const halfDone: number[] = [0];
    const counted = function* (name: string): Generator<void, string> {
      halfDone.push((halfDone.at(-1) ?? 0) + 1);
      yield* steps(name, log);
      halfDone.push((halfDone.at(-1) ?? 0) - 1);
      return name;
    };
    const names = ['a1', 'a2', 'b', 'c', 'd'];
    const works = names.map((name) => slices.run(user(name.slice(0, 1)), counted(name)));
    expect(await Promise.all(works)).toEqual(names);
    expect(Math.max(...halfDone)).toBe(2);
    expect([...new Set(log)]).toEqual(['a1', 'b', 'c', 'd', 'a2']);
  });

  test('what is awaited goes before what waits in the background, which goes on now and then', async () => {
    const [slices, log] = [new Slices({ turn: 0 }), [] as string[]];
    const background = slices.run(ANNA, steps('background', log), 'in the background');
    await turn();
    const awaited = ['a', 'b', 'c', 'd', 'e'].map((name) => slices.run(ANNA, steps(name, log)));
    const order: string[] = [];
    for (const work of [background, ...awaited]) void work.then((name) => order.push(name));
    await Promise.all([background, ...awaited]);
    expect(order.slice(0, 2)).toEqual(['a', 'b']);
    expect(log[0]).toBe('background');
    const between = log
      .slice(log.indexOf('a'), log.lastIndexOf('e') + 1)
      .filter((name) => name === 'background');
    expect(between).toHaveLength(2);
  });

  test('what nobody wants any more is not done, and tidies up after itself', async () => {
    const [slices, log] = [new Slices({ turn: 0 }), [] as string[]];
    let isWanted = true;
    const tidying = (function* (): Generator<void, void> {
      try {
        yield* steps('a', log);
      } finally {
        log.push('tidied');
      }
    })();
    const unwanted = slices.run(ANNA, tidying, 'awaited', () => isWanted);
    const never = slices.run(ANNA, steps('never', log), 'awaited', () => isWanted);
    const next = slices.run(ANNA, steps('b', log));
    await turn();
    isWanted = false;
    for (const work of [unwanted, never]) await expect(work).rejects.toMatchObject({ code: 'RESTARTING' });
    expect(await next).toBe('b');
    expect(log.filter((name) => name !== 'b')).toEqual(['a', 'tidied']);
  });

  test.each([
    ['what nobody wants when its turn comes costs its user no place', 0, 'b a2 c'],
    ['what was begun does, or who goes each time would keep others waiting', 1, 'a1 b c a2'],
  ])('[S] %s', async (_, stepsBefore, order) => {
    const [slices, log] = [new Slices({ turn: 0, atOnce: 1 }), [] as string[]];
    const isWanted = () => log.filter((name) => name === 'a1').length < stepsBefore;
    const before = stepsBefore === 0 ? [slices.run(BERT, steps('b', log))] : [];
    const gone = ['a1', 'a1'].map((name) => slices.run(ANNA, steps(name, log), 'awaited', isWanted));
    const works = [slices.run(ANNA, steps('a2', log)), ...before];
    if (stepsBefore > 0) works.push(slices.run(BERT, steps('b', log)));
    works.push(slices.run(user('clara'), steps('c', log)));
    for (const each of gone) await expect(each).rejects.toMatchObject({ code: 'RESTARTING' });
    await Promise.all(works);
    expect([...new Set(log)].join(' ')).toBe(order);
  });

  test('[S] nor does what comes to nothing at once', async () => {
    const [slices, log] = [new Slices({ turn: 0, atOnce: 1 }), [] as string[]];
    // biome-ignore lint/correctness/useYield: as where the document is half written
    const nothing = function* (): Generator<void, null> {
      return null;
    };
    const bert = slices.run(BERT, steps('b', log));
    const none = slices.run(ANNA, nothing());
    const works = [slices.run(ANNA, steps('a', log)), slices.run(user('clara'), steps('c', log))];
    expect(await Promise.all([bert, none, ...works])).toEqual(['b', null, 'a', 'c']);
    expect([...new Set(log)].join(' ')).toBe('b a c');
  });

  test('of what throws, the next one is done all the same', async () => {
    const [slices, log] = [new Slices({ turn: 0 }), [] as string[]];
    // biome-ignore lint/correctness/useYield: it throws before
    const failing = (function* (): Generator<void> {
      throw new Error('corrupt');
    })();
    await expect(slices.run(ANNA, failing)).rejects.toThrow('corrupt');
    expect(await slices.run(ANNA, steps('b', log))).toBe('b');
  });

  test('of what is ended and throws as it tidies up, the next one is done all the same', async () => {
    const [slices, log] = [new Slices({ turn: 0 }), [] as string[]];
    const untidy = (function* (): Generator<void, void> {
      try {
        yield* steps('a', log);
      } finally {
        log.push('untidy');
        // biome-ignore lint/correctness/noUnsafeFinally: as a clean-up fails
        throw new Error('not tidied');
      }
    })();
    let isWanted = true;
    const unwanted = slices.run(ANNA, untidy, 'awaited', () => isWanted);
    const next = slices.run(ANNA, steps('b', log));
    await turn();
    isWanted = false;
    await expect(unwanted).rejects.toMatchObject({ code: 'RESTARTING' });
    expect(await next).toBe('b');
    expect(log).toContain('untidy');
  });
});
