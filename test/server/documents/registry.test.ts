import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as Y from 'yjs';
import type { DurableChange, Origin, Subscriber } from '../../../server/documents/changes.js';
import { RecordsView } from '../../../server/documents/records/records-view.js';
import { DocumentRegistry, type RegistryOptions } from '../../../server/documents/registry.js';
import { whenKnown, whenShown } from '../../../server/documents/sleep/when-shown.js';
import type { UserDocument } from '../../../server/documents/user-document.js';
import type { SyncError } from '../../../server/errors.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../../shared/names.js';
import { writeRecord } from '../../../shared/records.js';
import { seededRandom } from '../../support/hostile.js';
import { stateReached, user } from '../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const IDLE = 30_000;
const VISITS = 'visits' as CollectionName;
const origin: Origin = { via: 'http', device: 'phone' as DeviceId, actor: null, subscriber: null };

/** A connection that notes what it is told. */
class Listener implements Subscriber {
  readonly device = 'tablet' as DeviceId;
  readonly ids: string[] = [];
  readonly failures: string[] = [];

  deliver({ records }: DurableChange): void {
    for (const { id } of records) this.ids.push(id);
  }

  fail({ code }: SyncError): void {
    this.failures.push(code);
  }
}

let store: MemoryStore;
let registry: DocumentRegistry;
let failures: [UserId, string][];

function registryOf(options: Partial<RegistryOptions> = {}): DocumentRegistry {
  const random = seededRandom(7);
  return new DocumentRegistry({
    store,
    idleTimeout: IDLE,
    maxDepth: 64,
    compactUpdates: 500,
    compactBytes: 4_000_000,
    keepFor: 86_400_000,
    historyDays: 90,
    onHistoryDamaged: () => {},
    now: () => 1_000,
    randomId: () => Math.floor(random() * 2 ** 32),
    onFailed: (name, { code }) => failures.push([name, code]),
    onRebuilt: (_, cause) => expect.unreachable(String(cause)),
    onCompacted: () => {},
    onUnexpected: (error) => expect.unreachable(String(error)),
    ...options,
  });
}

function write(document: UserDocument, id: string): void {
  document.write(origin, (doc: Y.Doc) => writeRecord(doc, VISITS, id as RecordId, { id, by: 'phone' }));
}

const idsIn = (document: UserDocument): unknown[] =>
  (document.collections().visits ?? []).map(({ id }) => id);

/** The Yjs clients that wrote to a user's document, as it is stored. */
async function storedClients(name: UserId): Promise<number[]> {
  const { document, release } = await registry.open(name);
  const clients = [...Y.decodeStateVector(document.stateVector()).keys()];
  release();
  return clients;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  store = new MemoryStore();
  failures = [];
  registry = registryOf();
});

afterEach(() => {
  registry.close();
  vi.useRealTimers();
});

describe('a document in use', () => {
  it('[N2 P3] is loaded once for all who ask at the same time, and shared', async () => {
    const loads = vi.spyOn(store, 'load');
    const leases = await Promise.all(Array.from({ length: 50 }, () => registry.open(ANNA)));
    const later = await registry.open(ANNA);
    expect(new Set([...leases, later].map(({ document }) => document)).size).toBe(1);
    expect(loads.mock.calls).toEqual([[ANNA]]);
    expect(registry.documents).toHaveLength(1);
  });

  it('[N3] stays while anybody uses it, and is let go an idle time after the last one', async () => {
    const forget = vi.spyOn(store, 'forget');
    const [one, two] = [await registry.open(ANNA), await registry.open(ANNA)];
    one.release();
    one.release();
    await vi.advanceTimersByTimeAsync(IDLE * 10);
    expect(registry.documents).toEqual([two.document]);
    two.release();
    await vi.advanceTimersByTimeAsync(IDLE - 1);
    const three = await registry.open(ANNA);
    await vi.advanceTimersByTimeAsync(IDLE * 10);
    expect(registry.documents).toEqual([three.document]);
    expect(forget).not.toHaveBeenCalled();
    three.release();
    await vi.advanceTimersByTimeAsync(IDLE);
    expect(registry.documents).toEqual([]);
    expect(forget.mock.calls).toEqual([[ANNA]]);
    expect((await registry.open(ANNA)).document).not.toBe(three.document);
  });

  it('[N3 P3] is never let go while something of it is not durable', async () => {
    const { document, release } = await registry.open(ANNA);
    store.hold();
    write(document, 'v1');
    release();
    await vi.advanceTimersByTimeAsync(IDLE * 10);
    expect(registry.documents).toEqual([document]);
    const again = await registry.open(ANNA);
    expect(again.document).toBe(document);
    expect(idsIn(again.document)).toEqual(['v1']);
    again.release();
    store.release();
    await document.durable();
    await vi.advanceTimersByTimeAsync(IDLE * 2);
    expect(registry.documents).toEqual([]);
    expect(idsIn((await registry.open(ANNA)).document)).toEqual(['v1']);
  });

  it('[N3 P4] that is compacted before it is let go stays until that is durable', async () => {
    registry = registryOf({ compactUpdates: 20 });
    const { document, release } = await registry.open(ANNA);
    for (let n = 1; n <= 5; n++) write(document, `v${n}`);
    await document.durable();
    expect(store.contents.get(ANNA)?.updates).toHaveLength(5);
    store.hold();
    release();
    await vi.advanceTimersByTimeAsync(IDLE * 3);
    expect(registry.documents).toEqual([document]);
    store.release();
    await document.durable();
    await vi.advanceTimersByTimeAsync(IDLE * 2);
    expect(registry.documents).toEqual([]);
    expect(store.contents.get(ANNA)?.updates).toHaveLength(1);
    expect(idsIn((await registry.open(ANNA)).document)).toEqual(['v1', 'v2', 'v3', 'v4', 'v5']);
  });
});

describe('[N2] [H1] a document that nobody changes, and of which something is asked every few seconds', () => {
  const POLL = 5_000;
  const LARGE = 2 ** 20 + 1;
  type Ask = typeof whenShown;
  const stranger: Ask = (document, task, failed) =>
    whenKnown(document, origin, () => task(RecordsView.of({})), failed);

  /** Asks for four times the idle time, beside a quiet connection or alone; returns how often it was loaded for that. */
  async function loadsFor(ask: Ask, length: number, beside: string): Promise<number> {
    let uptime = 0;
    registry = registryOf({ restAfter: IDLE, uptime: () => uptime });
    const { document, release } = await registry.open(ANNA);
    const record = { id: 'v1', text: 'x'.repeat(length) };
    document.write(origin, (doc: Y.Doc) => writeRecord(doc, VISITS, 'v1' as RecordId, record));
    await document.durable();
    release();
    const loads = vi.spyOn(store, 'load');
    if (beside === 'a connection') await registry.follow(ANNA);
    for (let passed = 0; passed < 4 * IDLE; passed += POLL) {
      const following = await registry.follow(ANNA);
      await new Promise<unknown>((done, failed) => ask(following.document, done, failed));
      following.release();
      await vi.advanceTimersByTimeAsync(POLL);
      uptime += POLL;
      registry.sleep();
    }
    return loads.mock.calls.length;
  }

  describe.each(['a connection', 'nobody'])('beside %s', (beside) => {
    it('leaves the memory where what is noted of it tells that', async () => {
      expect(await loadsFor(whenShown, 1, beside)).toBe(0);
      expect(registry.documents).toEqual([]);
    });

    it.each([
      ['its records are too large to be noted', whenShown, LARGE],
      ['a device asks that is not remembered', stranger, 1],
    ])('is not loaded again and again where %s', async (_, ask, length) => {
      expect(await loadsFor(ask, length, beside)).toBe(0);
      expect(registry.documents).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(2 * IDLE);
      if (beside === 'nobody') expect(registry.documents).toEqual([]);
    });
  });
});

describe('a write that fails', () => {
  it.each([
    ['the failed batch is not there', false, ['v1']],
    ['the failed batch is there all the same', true, ['v1', 'v2', 'v3']],
  ])('[N3 P3] tells nobody of it; the next open reads the store again: %s', async (_, kept, expected) => {
    const { document, release } = await registry.open(ANNA);
    const listener = new Listener();
    document.join(listener);
    write(document, 'v1');
    await document.durable();
    store.failNext({ kept });
    write(document, 'v2');
    write(document, 'v3');
    await expect(document.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    expect(listener).toMatchObject({ ids: ['v1'], failures: ['NOT_SAVED'] });
    expect(() => write(document, 'v4')).toThrow(expect.objectContaining({ code: 'NOT_SAVED' }));
    expect(failures).toEqual([[ANNA, 'NOT_SAVED']]);
    expect(registry.documents).toEqual([]);
    release();

    await stateReached(store, 'ready');
    const again = await registry.open(ANNA);
    expect(again.document).not.toBe(document);
    expect(idsIn(again.document)).toEqual(expected);
    write(again.document, 'v5');
    await again.document.durable();
    again.release();
    await vi.advanceTimersByTimeAsync(IDLE);
    expect(idsIn((await registry.open(ANNA)).document)).toEqual([...expected, 'v5']);
  });

  it('[N3 P3] refuses opens until the store works again, and leaves documents without a change alone', async () => {
    const anna = await registry.open(ANNA);
    const bert = await registry.open(BERT);
    const listener = new Listener();
    bert.document.join(listener);
    store.failNext({ kept: false, stayDown: true });
    write(anna.document, 'v1');
    await expect(anna.document.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await expect(registry.open(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect((await registry.open(BERT)).document).toBe(bert.document);
    expect(listener.failures).toEqual([]);
    store.recover();
    write(bert.document, 'b1');
    await bert.document.durable();
    expect(listener.ids).toEqual(['b1']);
    expect(idsIn((await registry.open(ANNA)).document)).toEqual([]);
  });

  it('[N3 P3] a lease of the failed document that is given back late does not touch its successor', async () => {
    const old = await registry.open(ANNA);
    store.failNext({ kept: false });
    write(old.document, 'v1');
    await expect(old.document.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await stateReached(store, 'ready');
    const forget = vi.spyOn(store, 'forget');
    const next = await registry.open(ANNA);
    old.release();
    await vi.advanceTimersByTimeAsync(IDLE * 10);
    expect(registry.documents).toEqual([next.document]);
    expect(forget).not.toHaveBeenCalled();
    write(next.document, 'v2');
    await next.document.durable();
  });
});

describe('the Yjs client id of the server', () => {
  it('[P6] is one for all documents and loads, and a fresh one after each reopen of the store', async () => {
    const generations: number[][] = [];
    for (let round = 0; round < 4; round++) {
      for (const name of [ANNA, BERT, ANNA]) {
        const { document, release } = await registry.open(name);
        write(document, `v${round}`);
        await document.durable();
        release();
        await vi.advanceTimersByTimeAsync(IDLE);
      }
      const [anna, bert] = [await storedClients(ANNA), await storedClients(BERT)];
      expect(new Set(anna)).toEqual(new Set(bert));
      generations.push(anna);
      const { document, release } = await registry.open(ANNA);
      store.failNext({ kept: round % 2 === 0 });
      write(document, `failed ${round}`);
      await expect(document.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
      release();
      await stateReached(store, 'ready');
    }
    expect(generations.map(({ length }) => length)).toEqual([1, 2, 3, 4]);
  });

  it('[P6] is another one in a document that was open all along while the store was reopened', async () => {
    const bert = await registry.open(BERT);
    write(bert.document, 'before');
    await bert.document.durable();
    const anna = await registry.open(ANNA);
    store.failNext({ kept: true });
    write(anna.document, 'v1');
    await expect(anna.document.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await stateReached(store, 'ready');
    write(bert.document, 'after');
    await bert.document.durable();
    expect(await storedClients(BERT)).toHaveLength(2);
  });
});

describe('a document that is damaged', () => {
  it('[P5] is refused with a clear error, to its user only, and again at each attempt', async () => {
    const bert = await registry.open(BERT);
    store.damage(ANNA);
    for (const times of [1, 2]) {
      await expect(registry.open(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT', closeCode: 1011 });
      expect(failures).toEqual(Array(times).fill([ANNA, 'DOCUMENT_CORRUPT']));
    }
    write(bert.document, 'b1');
    await bert.document.durable();
    expect(idsIn((await registry.open(BERT)).document)).toEqual(['b1']);
    expect(registry.documents).toEqual([bert.document]);
  });
});
