/** A batch over HTTP that is written in steps (H2, S4). */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { inOrder } from '../../../../server/documents/in-order.js';
import { RequestView } from '../../../../server/documents/json-devices/request-view.js';
import { Slices } from '../../../../server/documents/loading/slices.js';
import { TURN_CLOCK, Turns } from '../../../../server/documents/turns/turns.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { Batch, readChanges } from '../../../../server/gateways/http/batch.js';
import { RateLimiter } from '../../../../server/net/token-bucket.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { Json, JsonObject } from '../../../../shared/json.js';
import type { DeviceId } from '../../../../shared/names.js';
import { openDocument } from '../../../support/document.js';
import { docOf } from '../../../support/large-document.js';
import { user } from '../../../support/notes.js';

const ANNA = user('anna');
const BERT = user('bert');
const NOW = 10_000;
const origin = { via: 'http', device: 'phone' as DeviceId, actor: null, subscriber: null } as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/** A change of a record: what it sets, `null` for its deletion, and when it was made. */
interface Change {
  readonly id: string;
  readonly fields: JsonObject | null;
  readonly madeAt: number | null;
}

function bodyOf(changes: readonly Change[]): Json {
  const messages = changes.map(({ id, fields, madeAt }) => {
    const [type, what] =
      fields === null
        ? ['DATA_DELETE', { documentId: id }]
        : ['DATA_UPDATE', { document: { id, ...fields } }];
    const data = { collection: 'notes', ...what, timestamp: madeAt };
    return { type, userId: 'anna', deviceId: 'phone', data, timestamp: NOW };
  });
  return { changes: messages };
}

/** Resolves when it is written. */
async function send(document: UserDocument, changes: readonly Change[]): Promise<void> {
  const view = document.devices.overHttp(origin, NOW);
  const batch = new Batch(document, origin, view, readChanges(bodyOf(changes), ANNA, 64));
  const apply = () => {
    batch.mustFit();
    return batch.apply(NOW);
  };
  await inOrder(document, apply, batch.neededFrom(NOW));
}

/** All that is stored, and what is shown of it. */
async function stateOf(document: UserDocument, store: MemoryStore) {
  await document.durable();
  const { updates, devices, revision } = await store.load(ANNA);
  const history = await store.history(ANNA, { below: revision + 1, limit: 10_000 });
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return {
    revision,
    records: document.collections(),
    updates: updates.map(hex),
    history: history.map(({ entry }) => hex(entry)),
    devices: [...devices].map(([key, state]) => [key, Buffer.from(state).toString()]),
  };
}

const value = fc.oneof(
  fc.constantFrom(1, 2, 'open', 'done', null),
  fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
  fc.record({ x: fc.constantFrom(1, 2), y: fc.constantFrom('p', 'q') }, { requiredKeys: [] }),
  fc.uniqueArray(fc.constantFrom('e1', 'e2', 'e3'), { maxLength: 3 }).map((ids) => ids.map((id) => ({ id }))),
);
const fields = fc.record({ name: value, state: value, list: value }, { requiredKeys: [] });
const change: fc.Arbitrary<Change> = fc.record({
  id: fc.constantFrom('n1', 'n2', 'n3', 'n4', 'n5', 'n6'),
  fields: fc.option(fields, { freq: 5 }),
  madeAt: fc.option(fc.integer({ min: 1_000, max: NOW }), { freq: 5 }),
});
const batches = fc.array(fc.array(change, { minLength: 17, maxLength: 40 }), { minLength: 1, maxLength: 3 });

/** As if each batch were a small one. */
const atOnce = () =>
  vi.spyOn(UserDocument.prototype, 'writeInSteps').mockImplementation(async function (
    this: UserDocument,
    ...[from, steps, made, then]
  ) {
    const whole = (doc: Y.Doc) => {
      for (const _rest of steps(doc));
    };
    then(this.write(from, whole, made));
  });

const ENDLESS = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };
const turnsOf = () =>
  new Turns({
    clock: TURN_CLOCK,
    rateOf: () => new RateLimiter({ messages: ENDLESS, bytes: ENDLESS }, () => 0),
    maxUnsavedPerUser: 1e9,
    maxUnsaved: 1e9,
  });

const named = (count: number, name: string): Change[] =>
  Array.from({ length: count }, (_, n) => ({ id: `n${n}`, fields: { name }, madeAt: 5_000 + n }));
const namesIn = (document: UserDocument) => new Set(document.collections().notes?.map(({ name }) => name));

describe('[H2] [S4] a batch that is written in steps', () => {
  test('is what it is at once, byte by byte, and what is known of its device is the same', async () => {
    const written = async (changes: readonly (readonly Change[])[]) => {
      const store = new MemoryStore();
      const document = await openDocument(store, ANNA, { now: () => NOW });
      for (const each of changes) await send(document, each);
      return stateOf(document, store);
    };
    await fc.assert(
      fc.asyncProperty(batches, async (changes) => {
        const inSteps = await written(changes);
        const instead = atOnce();
        const whole = await written(changes);
        expect(instead).toHaveBeenCalled();
        instead.mockRestore();
        expect(inSteps).toEqual(whole);
      }),
      { numRuns: 20 },
    );
  });

  test('others have their turns meanwhile; what else enters the document is behind it', async () => {
    const turns = turnsOf();
    const document = await openDocument(new MemoryStore(), ANNA, { now: () => NOW, turns });
    await send(document, named(1, 'before'));
    const order: string[] = [];
    const run = (name: string) => () => order.push(name);
    const contextOf = vi.spyOn(RequestView.prototype, 'contextOf');
    const sent = send(document, named(1_000, 'queued')).then(run('batch'));
    // Each message is looked at once before the batch is written, and once as it is.
    await vi.waitUntil(() => contextOf.mock.calls.length > 1_001, { interval: 1 });
    const bert = { messages: 1, bytes: 0, sender: null, run: run('bert') };
    turns.enter(BERT, bert);
    const [own] = await Promise.all([inOrder(document, () => [run('own')(), namesIn(document)]), sent]);
    expect(order[0]).toBe('bert');
    expect(own?.[1]).toEqual(new Set(['queued']));
  });

  test('[P2] is one commit: killed in the midst of it, nothing of it is there', async () => {
    const store = new MemoryStore();
    const turns = turnsOf();
    const document = await openDocument(store, ANNA, { now: () => NOW, turns });
    await send(document, named(100, 'before'));
    await document.durable();
    const before = (await store.load(ANNA)).revision;
    const contextOf = vi.spyOn(RequestView.prototype, 'contextOf');
    const sent = send(document, named(100, 'queued'));
    await vi.waitUntil(() => contextOf.mock.calls.length > 101, { interval: 0 });
    const stored = await store.load(ANNA);
    expect(stored.revision).toBe(before);
    await sent;
    await document.durable();
    expect((await store.load(ANNA)).revision).toBe(before + 100);
  });

  test('[S1] that fails halfway leaves nothing, and is taken when it is sent again', async () => {
    const onRebuilt = vi.fn();
    const document = await openDocument(new MemoryStore(), ANNA, { now: () => NOW, onRebuilt });
    await send(document, named(100, 'before'));
    const failing = failAt(150);
    await expect(send(document, named(100, 'queued'))).rejects.toThrow('Halfway.');
    failing.mockRestore();
    expect(onRebuilt).toHaveBeenCalledOnce();
    expect(namesIn(document)).toEqual(new Set(['before']));
    await send(document, named(100, 'queued'));
    expect(namesIn(document)).toEqual(new Set(['queued']));
  });

  test('[S1] that fails halfway, where what is stored can not be read either: its document fails', async () => {
    const store = new MemoryStore();
    const document = await openDocument(store, ANNA, { now: () => NOW });
    await send(document, named(100, 'before'));
    await document.durable();
    failAt(150);
    vi.spyOn(store, 'load').mockRejectedValueOnce(new Error('EIO'));
    await expect(send(document, named(100, 'queued'))).rejects.toThrow();
    expect(document.failure).toMatchObject({ code: 'NOT_SAVED' });
  });

  test('[P4] is compacted as others are', async () => {
    const store = new MemoryStore();
    const document = await openDocument(store, ANNA, {
      now: () => NOW,
      turns: turnsOf(),
      compactUpdates: 10,
    });
    for (let round = 0; round < 30; round++) {
      await send(document, named(17, `round ${round}`));
      await document.durable();
    }
    expect((await store.load(ANNA)).updates.length).toBeLessThan(20);
  });

  test('[N2] [S4] an answer in steps that comes to begin meanwhile shows none of it, or all', async () => {
    const store = new MemoryStore();
    await store.load(ANNA);
    await store.commit(ANNA, { update: Y.encodeStateAsUpdate(docOf(8_000)), revision: 1 });
    const run = vi.spyOn(Slices.prototype, 'run');
    const document = await openDocument(store, ANNA, { now: () => NOW, turns: turnsOf() });
    await document.loaded;
    const slices = run.mock.contexts[0] as Slices;
    let isOver = false;
    const another = slices.run(
      ANNA,
      until(() => isOver),
    );
    const diff = inOrder(document, () => document.diffInSteps(Uint8Array.of(0)));
    const contextOf = vi.spyOn(RequestView.prototype, 'contextOf');
    const sent = send(document, named(1_000, 'queued'));
    await vi.waitUntil(() => contextOf.mock.calls.length > 1_100, { interval: 1 });
    isOver = true;
    const update = await await diff;
    await Promise.all([another, sent]);
    const copy = new Y.Doc();
    Y.applyUpdate(copy, update);
    expect([0, 1_000]).toContain(copy.getMap('notes').size);
  });
});

/** Another answer for the user. */
function* until(isOver: () => boolean): Generator<void> {
  while (!isOver()) yield;
}

/** What is known of a device fails at the so-manieth question. */
function failAt(call: number) {
  const { contextOf } = RequestView.prototype;
  let asked = 0;
  return vi.spyOn(RequestView.prototype, 'contextOf').mockImplementation(function (
    this: RequestView,
    ...all
  ) {
    if (++asked === call) throw new Error('Halfway.');
    return contextOf.apply(this, all);
  });
}
