/** The history of a user's records: what is entered, that it can be replayed, and how long it is kept (H5, H7). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { HistoryEntry } from '../server/documents/history/history-entry.js';
import { type RecordImage, sameImage } from '../server/documents/records/record-image.js';
import { keyOf, type RecordKey } from '../server/documents/records/record-key.js';
import * as format from '../server/store/format.js';
import { EMPTY } from '../server/store/memory/memory-document.js';
import type { JsonRecord } from '../shared/json.js';
import { writeRecord } from '../shared/records.js';
import { docsOf, edits as richEdits } from './support/edited-docs.js';
import { changeByte } from './support/level-fixture.js';
import { Author } from './support/notes.js';
import { editArbitrary, editJson, editNative } from './support/random-edits.js';
import { client } from './support/replicas.js';
import { runs } from './support/runs.js';
import { StoreGate } from './support/store-gate.js';
import { DAY, levelShelf, memoryShelf, record, type Shelf, Ward, type WardOptions } from './support/ward.js';

const N1 = record('notes', 'n1');
const SHELVES: [string, () => Shelf | Promise<Shelf>][] = [
  ['in memory', memoryShelf],
  ['in LevelDB', levelShelf],
];

const put =
  (id: string, fields: object, collection = 'notes') =>
  (doc: Y.Doc): void =>
    writeRecord(doc, record(collection, id).collection, record(collection, id).id, { id, ...fields });
const remove =
  (id: string) =>
  (doc: Y.Doc): void =>
    doc.getMap('notes').delete(id);

/** What an entry says in short: revision, device, way, record, and its JSON before and after. */
const said = ({ revision, device, via, collection, id, before, after }: HistoryEntry) =>
  [revision, device, via, `${collection}/${id}`, before?.json ?? null, after?.json ?? null] as const;
const saidBy = async (ward: Ward) => (await ward.entries()).map(said);

describe.each(SHELVES)('[H5] %s, an entry comes of', (_, shelf) => {
  test('each change of a JSON device, with who made it, how and when', async () => {
    const ward = await Ward.open(await shelf());
    const tablet = await ward.line('tablet').ready();
    const began = ward.now;
    await tablet.update('notes', { id: 'n1', text: 'a' });
    ward.now += 5_000;
    await tablet.update('notes', { id: 'n1', text: 'b' }, ward.now - 3_000);
    ward.now += 5_000;
    await tablet.delete('notes', 'n1');
    const [one, two] = [
      { id: 'n1', text: 'a' },
      { id: 'n1', text: 'b' },
    ];
    expect(await saidBy(ward)).toEqual([
      [1, 'tablet', 'json', 'notes/n1', null, one],
      [2, 'tablet', 'json', 'notes/n1', one, two],
      [3, 'tablet', 'json', 'notes/n1', two, null],
    ]);
    expect(
      (await ward.entries()).map(({ at, madeAt, actor }) => [at - began, madeAt - began, actor]),
    ).toEqual([
      [0, 0, null],
      [5_000, 2_000, null],
      [10_000, 10_000, null],
    ]);
  });

  test('each record of one update of a native device: as many revisions', async () => {
    const ward = await Ward.open(await shelf());
    const phone = client(7);
    phone.transact(() => {
      phone.getMap('notes').set('n1', new Y.Map([['a', 1]]));
      phone.getMap('visits').set('v1', new Y.Map([['b', 2]]));
    });
    ward.sync('phone', phone);
    expect(ward.document.revision).toBe(2);
    phone.transact(() => {
      phone.getMap('notes').delete('n1');
      (phone.getMap('visits').get('v1') as Y.Map<unknown>).set('b', 3);
    });
    ward.sync('phone', phone);
    const entries = await saidBy(ward);
    expect(entries.map(([revision]) => revision)).toEqual([1, 2, 3, 4]);
    expect(entries.map(([, ...rest]) => rest)).toEqual(
      expect.arrayContaining([
        ['phone', 'yjs', 'notes/n1', null, { id: 'n1', a: 1 }],
        ['phone', 'yjs', 'visits/v1', null, { id: 'v1', b: 2 }],
        ['phone', 'yjs', 'notes/n1', { id: 'n1', a: 1 }, null],
        ['phone', 'yjs', 'visits/v1', { id: 'v1', b: 2 }, { id: 'v1', b: 3 }],
      ]),
    );
  });

  test('[D4] the union of what was made apart, by whoever brought the second part', async () => {
    const ward = await Ward.open(await shelf());
    const [phone, laptop] = [client(7), client(8)];
    phone.getMap('notes').set('n1', new Y.Map([['phone', 1]]));
    laptop.getMap('notes').set('n1', new Y.Map([['laptop', 1]]));
    ward.sync('phone', phone);
    ward.sync('laptop', laptop);
    ward.sync('phone', phone);
    expect(await saidBy(ward)).toEqual([
      [1, 'phone', 'yjs', 'notes/n1', null, { id: 'n1', phone: 1 }],
      [2, 'laptop', 'yjs', 'notes/n1', { id: 'n1', phone: 1 }, { id: 'n1', phone: 1, laptop: 1 }],
    ]);
  });

  test('[H6] a record that is brought back', async () => {
    const ward = await Ward.open(await shelf());
    ward.write('tablet', put('n1', { text: 'a' }));
    ward.write('tablet', put('n1', { text: 'b' }));
    await ward.restore(N1, 1);
    ward.write('tablet', remove('n1'));
    await ward.restore(N1, 2);
    expect((await saidBy(ward)).slice(2)).toEqual([
      [3, 'desk', 'restore', 'notes/n1', { id: 'n1', text: 'b' }, { id: 'n1', text: 'a' }],
      [4, 'tablet', 'json', 'notes/n1', { id: 'n1', text: 'a' }, null],
      [5, 'desk', 'restore', 'notes/n1', null, { id: 'n1', text: 'b' }],
    ]);
  });

  test('a record that a native device replaces by a value, and by another map', async () => {
    const ward = await Ward.open(await shelf());
    const phone = client(7);
    const notes = phone.getMap('notes');
    for (const value of [new Y.Map([['a', 1]]), new Y.Map([['b', 1]]), 'no record', new Y.Map([['c', 1]])]) {
      notes.set('n1', value);
      ward.sync('phone', phone);
    }
    expect((await saidBy(ward)).map(([, , , , before, after]) => [before, after])).toEqual([
      [null, { id: 'n1', a: 1 }],
      [
        { id: 'n1', a: 1 },
        { id: 'n1', b: 1 },
      ],
      [{ id: 'n1', b: 1 }, null],
      [null, { id: 'n1', c: 1 }],
    ]);
  });

  test('nothing where nothing changed: the same again, a value set to itself, a change and its undoing', async () => {
    const ward = await Ward.open(await shelf());
    const tablet = await ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', text: 'a' });
    await tablet.update('notes', { id: 'n1', text: 'a' });
    await tablet.delete('notes', 'no-such-note');
    const phone = client(7);
    ward.sync('phone', phone);
    const note = phone.getMap('notes').get('n1') as Y.Map<unknown>;
    note.set('text', 'a');
    ward.sync('phone', phone);
    phone.transact(() => {
      note.set('text', 'b');
      note.set('text', 'a');
      phone.getMap('notes').set('n2', new Y.Map());
      phone.getMap('notes').delete('n2');
      phone.getMap('notes').set('n3', 'no record');
    });
    ward.sync('phone', phone);
    expect(await ward.revisions()).toEqual([1]);
    await ward.restart();
    await ward.restore(N1, 1);
    expect(await ward.revisions()).toEqual([1]);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', text: 'a' });
    ward.write('tablet', put('n1', { text: 'c' }));
    expect(await ward.revisions()).toEqual([1, 2]);
  });

  test('a change of formatting alone, which JSON does not show: it can be undone as well', async () => {
    const ward = await Ward.open(await shelf());
    const phone = client(7);
    const text = new Y.Text('take twice');
    phone.getMap('notes').set('n1', new Y.Map([['text', text]]));
    ward.sync('phone', phone);
    text.format(0, 4, { bold: true });
    ward.sync('phone', phone);
    const both = { id: 'n1', text: 'take twice' };
    expect((await saidBy(ward)).at(-1)).toEqual([2, 'phone', 'yjs', 'notes/n1', both, both]);
    await ward.restore(N1, 1);
    await ward.document.durable();
    Y.applyUpdate(phone, ward.document.diff(Y.encodeStateVector(phone)));
    expect(text.toDelta()).toEqual([{ insert: 'take twice' }]);
    await ward.restore(N1, 2);
    Y.applyUpdate(phone, ward.document.diff(Y.encodeStateVector(phone)));
    expect(text.toDelta()).toEqual([{ insert: 'take', attributes: { bold: true } }, { insert: ' twice' }]);
  });

  test('and revisions go on where they were, after a stop and after a compaction', async () => {
    const ward = await Ward.open(await shelf());
    for (let n = 1; n <= 12; n++) {
      ward.write('tablet', put('n1', { n }));
      if (n % 3 === 0) ward.document.compact();
      if (n % 4 === 0) await ward.restart();
    }
    expect(await ward.revisions()).toEqual(Array.from({ length: 12 }, (_, n) => n + 1));
    expect((await ward.entries()).map(({ before, after }) => [before?.json.n, after?.json.n])).toEqual(
      Array.from({ length: 12 }, (_, n) => [n === 0 ? undefined : n, n + 1]),
    );
  });
});

test('[H5 L5] an entry can be read again, however wrong the clock of its device goes', async () => {
  const ward = await Ward.open();
  const tablet = await ward.line('tablet').ready();
  await tablet.updateAt('notes', { id: 'n1' }, ward.now, Number.MAX_SAFE_INTEGER);
  ward.now += 1_000;
  await tablet.updateAt('notes', { id: 'n2' }, 0, Number.MAX_SAFE_INTEGER);
  await tablet.updateAt('notes', { id: 'n3' }, 0.5, ward.now + 0.5);
  expect((await ward.entries()).map(({ id }) => id)).toEqual(['n1', 'n2', 'n3']);
  await ward.restart();
  const other = await ward.line('other').ready();
  await other.update('notes', { id: 'n1', text: 'not known to whoever reads the history' }, ward.now - DAY);
  expect(ward.failures).toEqual([]);
});

/** Everything that happened, as it was seen from outside: the states of all records after each revision. */
class Chronicle {
  readonly states: ReadonlyMap<string, RecordImage>[] = [new Map()];
  readonly #ward: Ward;

  constructor(ward: Ward) {
    this.#ward = ward;
  }

  /** Runs something, and checks that exactly what it changed was entered. */
  note(action: () => void): void {
    const { document } = this.#ward;
    const before = this.now;
    const from = document.revision;
    expect(from).toBe(this.states.length - 1);
    action();
    const after = this.#ward.images();
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (key) => !sameImage(before.get(key) ?? null, after.get(key) ?? null),
    );
    const entries = this.#entered(from);
    expect(new Set(entries)).toEqual(new Set(changed));
    expect(entries).toHaveLength(changed.length);
    for (const key of entries) {
      const state = new Map(this.now);
      const image = after.get(key);
      if (image === undefined) state.delete(key);
      else state.set(key, image);
      this.states.push(state);
    }
  }

  get now(): ReadonlyMap<string, RecordImage> {
    return this.states.at(-1) as ReadonlyMap<string, RecordImage>;
  }

  /** The keys of the records that were entered after a revision, in their order. */
  #entered(from: number): string[] {
    const { document } = this.#ward;
    const keys = new Set([...this.now.keys(), ...this.#ward.images().keys()]);
    const found: [number, string][] = [];
    for (const key of keys) {
      const [collection = '', id = ''] = key.split('\n');
      for (const { revision } of document.history.changes(record(collection, id), from, Infinity)) {
        found.push([revision, key]);
      }
    }
    found.sort(([a], [b]) => a - b);
    expect(found.map(([revision]) => revision)).toEqual(found.map((_, index) => from + 1 + index));
    expect(document.revision).toBe(from + found.length);
    return found.map(([, key]) => key);
  }

  /** Replays what is stored from empty, and compares it with what was seen. */
  async check(): Promise<void> {
    const entries = await this.#ward.entries();
    expect(entries.map(({ revision }) => revision)).toEqual(
      this.states.slice(1).map((_, index) => index + 1),
    );
    const records = new Map<string, RecordImage>();
    for (const entry of entries) {
      const key = keyOf(entry);
      expectSame(entry.before, records.get(key) ?? null);
      expectSame(entry.after, this.states[entry.revision]?.get(key) ?? null);
      if (entry.after === null) records.delete(key);
      else records.set(key, entry.after);
    }
    const images = this.#ward.images();
    expect(new Set(records.keys())).toEqual(new Set(images.keys()));
    for (const [key, image] of images) expectSame(records.get(key) ?? null, image);
  }
}

function expectSame(one: RecordImage | null, other: RecordImage | null): void {
  expect(sameImage(one, other), `${JSON.stringify(one)}\n${JSON.stringify(other)}`).toBe(true);
}

const keyOfText = (key: string): RecordKey => record(...(key.split('\n') as [string, string]));

/** A write looks back to a revision: what the history then says of every record since is what was seen. */
async function lookBack(ward: Ward, chronicle: Chronicle, at: number, stride = 1): Promise<void> {
  const { history } = ward.document;
  const from = at % chronicle.states.length;
  await new Promise<void>((resolve) => ward.document.withHistory(from, resolve));
  const keys = new Set(chronicle.states.flatMap((state) => [...state.keys()]));
  for (const key of keys) {
    for (let to = from; to < chronicle.states.length; to += stride) {
      const found = history.versions(keyOfText(key), { from, to });
      const seen = chronicle.states.slice(from, to + 1).map((state) => state.get(key) ?? null);
      const distinct = seen.filter(
        (image, index) => index === 0 || !sameImage(image, seen[index - 1] ?? null),
      );
      expect(found).toHaveLength(distinct.length);
      for (const [index, image] of found.entries()) expectSame(image, distinct[index] ?? null);
    }
  }
}

async function restoreAny(ward: Ward, chronicle: Chronicle, at: number): Promise<void> {
  const revision = at % chronicle.states.length;
  const state = chronicle.states[revision] as ReadonlyMap<string, RecordImage>;
  const key = [...state.keys()][at % Math.max(1, state.size)];
  if (key === undefined) return;
  const head = ward.document.historyHead();
  await ward.document.durable();
  const image = await ward.document.historyLog.imageAt(head, keyOfText(key), revision);
  expectSame(image, state.get(key) ?? null);
  chronicle.note(() => ward.bringBack(keyOfText(key), image));
  expectSame(ward.images().get(key) ?? null, image);
}

const DEVICES = ['phone', 'laptop'] as const;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('native'), device: fc.nat(1), edit: editArbitrary }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('json'), edit: editArbitrary }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('sync'), device: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('restore', 'look'), at: fc.nat(1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('restart', 'compact', 'pause') }) },
);
type Step = {
  readonly kind: string;
  readonly device?: number;
  readonly at?: number;
  readonly edit?: Parameters<typeof editNative>[1];
};

async function live(ward: Ward, chronicle: Chronicle, steps: readonly Step[]): Promise<void> {
  const docs = DEVICES.map((_, index) => client(50 + index));
  for (const [index, { kind, device = 0, edit, at = 0 }] of steps.entries()) {
    const doc = docs[device] as Y.Doc;
    if (kind === 'native' && edit !== undefined) editNative(doc, edit, `v${index}`);
    else if (kind === 'json' && edit !== undefined) chronicle.note(() => editAsJson(ward, edit, `v${index}`));
    else if (kind === 'sync') chronicle.note(() => ward.sync(DEVICES[device] as string, doc));
    else if (kind === 'restore') await restoreAny(ward, chronicle, at);
    else if (kind === 'look') await lookBack(ward, chronicle, at);
    else if (kind === 'restart') await ward.restart();
    else if (kind === 'compact') ward.document.compact();
    else ward.now += 7_000;
  }
}

function editAsJson(ward: Ward, edit: NonNullable<Step['edit']>, value: string): void {
  const { collection, id } = record(edit.collection, edit.id);
  const old = ward.document.record({ collection, id }) as JsonRecord | null;
  const changed = editJson(old ?? undefined, edit, value);
  ward.write('tablet', (doc) => {
    if (changed === null) doc.getMap(collection).delete(id);
    else writeRecord(doc, collection, id, changed);
  });
}

describe.each([
  ['in memory', memoryShelf, 300],
  ['in LevelDB', levelShelf, 12],
] as const)('[H5] %s, the entries of each record replay', (_, shelf, numRuns) => {
  test('every state in turn, and each can be brought back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const ward = await Ward.open(await shelf());
        const chronicle = new Chronicle(ward);
        await live(ward, chronicle, steps);
        await chronicle.check();
        await ward.restart();
        await chronicle.check();
        expect([ward.unexpected, ward.failures, ward.rebuilt, ward.damaged]).toEqual([[], [], 0, []]);
        await ward.stop();
      }),
      { seed: 5, numRuns: runs(numRuns) },
    );
  }, 120_000);

  test('every state in turn of documents with texts, XML and whatever else Yjs stores', async () => {
    await fc.assert(
      fc.asyncProperty(richEdits, fc.nat(1_000), async (edits, at) => {
        const ward = await Ward.open(await shelf());
        const chronicle = new Chronicle(ward);
        for (let count = 1; count <= edits.length; count += 1 + (at % 3)) {
          for (const [index, doc] of docsOf(edits.slice(0, count)).entries()) {
            const update = Y.encodeStateAsUpdate(doc, ward.document.stateVector());
            chronicle.note(() => ward.receive(`device${index}`, update, new Map()));
          }
          if ((at + count) % 7 === 0) await restoreAny(ward, chronicle, at + count);
          if ((at + count) % 11 === 0) await ward.restart();
          if ((at + count) % 5 === 0) ward.document.compact();
        }
        await chronicle.check();
        await ward.restart();
        await chronicle.check();
        expect([ward.unexpected, ward.failures, ward.rebuilt, ward.damaged]).toEqual([[], [], 0, []]);
        await ward.stop();
      }),
      { seed: 6, numRuns: runs(numRuns) },
    );
  }, 120_000);
});

test('[H5] what is read of a long history, and let go again, is the same at every turn', async () => {
  const ward = await Ward.open();
  const chronicle = new Chronicle(ward);
  const note = (n: number) => {
    chronicle.note(() => ward.write(`device${n % 3}`, put(`n${n % 7}`, { n })));
    if (n % 10 === 9) chronicle.note(() => ward.write('phone', remove(`n${n % 7}`)));
  };
  for (let n = 0; n < 1_150; n++) note(n);
  await ward.restart();
  for (const at of [1_100, 700, 3]) {
    await lookBack(ward, chronicle, at, 97);
    ward.now += 120_000;
    for (let n = 0; n < 20; n++) note(n);
  }
  ward.now += 120_000;
  for (let n = 0; n < 230; n++) note(n);
  expect(ward.document.history.from, 'what nobody needs is let go').toBeGreaterThan(1_000);
  await lookBack(ward, chronicle, 900, 31);
  await chronicle.check();
  expect(await ward.page({ limit: 1, before: 500 })).toMatchObject({
    entries: [{ revision: 499 }],
    next: 499,
  });
});

/** A day on which the injected clock stands; the ward begins on day 0. */
const atDay = (ward: Ward, day: number): void => {
  ward.now = Date.UTC(2025, 0, 31) + day * DAY;
};

/** Notes of the phone, one revision each. */
function writeNotes(ward: Ward, ...ids: string[]): void {
  for (const id of ids) ward.write('phone', put(id, { by: 'phone' }));
}

/** A connection that received everything up to now, and ended well after that. */
async function visit(ward: Ward, device: string): Promise<void> {
  const line = await ward.line(device).ready();
  ward.now += 10_000;
  line.leave();
  ward.document.saveDevices('all');
  await ward.document.durable();
}

describe.each(SHELVES)('[H7] %s, history', (_, shelf) => {
  test('that is older than HISTORY_DAYS goes when the document is next loaded', async () => {
    const ward = await Ward.open(await shelf(), { historyDays: 10 });
    writeNotes(ward, 'n1', 'n2');
    atDay(ward, 5);
    writeNotes(ward, 'n3');
    atDay(ward, 10);
    await ward.restart();
    expect(await ward.revisions()).toEqual([1, 2, 3]);
    ward.now += 1;
    expect(await ward.revisions(), 'a document in use is left alone').toEqual([1, 2, 3]);
    await ward.restart();
    expect(await ward.revisions()).toEqual([3]);
    await expect(ward.restore(N1, 1)).rejects.toMatchObject({ code: 'NOT_IN_HISTORY' });
    await ward.restore(N1, 2); // the state before the oldest entry is known
    atDay(ward, 100);
    writeNotes(ward, 'n4');
    await ward.restart();
    expect(await ward.revisions()).toEqual([4]);
    atDay(ward, 200);
    await ward.restart();
    expect(await ward.revisions()).toEqual([]);
    writeNotes(ward, 'n5');
    expect(await ward.revisions()).toEqual([5]);
    expect(ward.unexpected).toEqual([]);
  });

  test('that a device met within that time still needs stays, and its queue is merged by it', async () => {
    const ward = await Ward.open(await shelf(), { historyDays: 10 });
    ward.write('phone', put('n1', { a: 1, b: 1, c: 1 }));
    await visit(ward, 'tablet');
    atDay(ward, 1);
    ward.write('phone', put('n1', { a: 2 }));
    ward.write('phone', put('n1', { b: 2 }));
    atDay(ward, 5);
    const lost = await ward.line('tablet', { answers: false }).ready();
    lost.leave(); // nothing proves that it received more than on day 0
    atDay(ward, 14);
    await ward.restart();
    expect(await ward.revisions()).toEqual([2, 3]);
    const tablet = await ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', a: 1, b: 1, c: 3 }, ward.now - 8 * DAY);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 2, b: 2, c: 3 });
    expect(ward.damaged).toEqual([]);
  });

  test('of a device that was not met within that time goes', async () => {
    const ward = await Ward.open(await shelf(), { historyDays: 10 });
    writeNotes(ward, 'n1');
    await visit(ward, 'tablet');
    writeNotes(ward, 'n2', 'n3');
    atDay(ward, 11);
    await ward.restart();
    expect(await ward.revisions()).toEqual([]);
    await ward.restart();
    expect(ward.unexpected).toEqual([]);
  });

  test('HISTORY_DAYS=0 keeps what devices need, for 90 days, and nothing else', async () => {
    const ward = await Ward.open(await shelf(), { historyDays: 0 });
    writeNotes(ward, 'n1', 'n2');
    await visit(ward, 'tablet');
    ward.write('phone', put('n1', { by: 'phone', text: 'x' }));
    writeNotes(ward, 'n4');
    await ward.restart();
    expect(await ward.revisions()).toEqual([3, 4]);
    atDay(ward, 80);
    await ward.restart();
    expect(await ward.revisions()).toEqual([3, 4]);
    const tablet = await ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', by: 'phone', more: 1 }, ward.now - 40 * DAY);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', by: 'phone', text: 'x', more: 1 });
    ward.now += 10_000;
    tablet.leave();
    atDay(ward, 180);
    await ward.restart();
    expect(await ward.revisions()).toEqual([]);
    writeNotes(ward, 'n5');
    ward.now += 1;
    await ward.restart();
    expect(await ward.revisions()).toEqual([]);
    expect(ward.unexpected).toEqual([]);
  });

  test('[L7] is gone, but not that a record was deleted', async () => {
    const ward = await Ward.open(await shelf(), { historyDays: 10 });
    const made = ward.now + 5_000;
    writeNotes(ward, 'n1', 'n2');
    await visit(ward, 'tablet');
    atDay(ward, 1);
    ward.write('phone', remove('n1'));
    for (const day of [40, 80]) {
      atDay(ward, day);
      writeNotes(ward, `day${day}`);
      await ward.restart();
      atDay(ward, day + 11);
      await ward.restart();
      expect(await ward.revisions()).toEqual([]);
      const tablet = await ward.line('tablet').ready();
      await tablet.update('notes', { id: 'n1', text: 'from before' }, made);
      await tablet.update('notes', { id: 'n1', text: 'from before' }, null);
      expect(ward.json('notes', 'n1')).toBeNull();
      expect(tablet.deletions).toEqual(['n1', 'n1']);
      tablet.leave();
    }
    const other = await ward.line('other').ready();
    ward.now += 40_000;
    await other.update('notes', { id: 'n1', text: 'anew' });
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', text: 'anew' });
    expect(ward.unexpected).toEqual([]);
  });
});

describe('[H7 L7] old history goes while a write already looks back at it', () => {
  const BEFORE = Date.UTC(2025, 0, 31) + DAY / 2;

  /** Notes that are too old but for the last, and a deletion among them; the document is loaded, nothing gone yet. */
  async function loaded(call: string) {
    const gate = new StoreGate();
    const ward = await Ward.open(memoryShelf(), { historyDays: 10, around: gate.around });
    writeNotes(ward, 'n0');
    atDay(ward, 1);
    writeNotes(ward, 'n1', 'n2');
    ward.write('phone', remove('n1'));
    atDay(ward, 10.5);
    await ward.restart();
    expect(await ward.revisions(), 'pruned once already').toEqual([2, 3, 4]);
    writeNotes(ward, 'n3');
    atDay(ward, 12);
    await ward.stop();
    const held = gate.hold(call);
    await ward.load();
    return { ward, gate, held };
  }

  test('a deletion that goes with it is known all the same', async () => {
    const { ward, held } = await loaded('history');
    const tablet = await ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', text: 'from before' }, BEFORE);
    expect(ward.json('notes', 'n1')).toBeNull();
    held.release();
    await ward.pruned();
    expect(await ward.revisions()).toEqual([5]);
    const desk = await ward.line('desk').ready();
    await desk.update('notes', { id: 'n1', text: 'from before' }, BEFORE);
    expect(ward.json('notes', 'n1')).toBeNull();
  });

  test('what is gone meanwhile is not called damaged', async () => {
    const { ward, held } = await loaded('prune');
    await held.reached;
    const tablet = ward.line('tablet').ready();
    const written = tablet.then((line) => line.update('notes', { id: 'n2', text: 'x' }, BEFORE));
    held.release();
    await written;
    await ward.pruned();
    expect(ward.json('notes', 'n2'), 'a field that nobody else ever wrote').toMatchObject({ text: 'x' });
    expect(await ward.revisions()).toEqual([5, 6]);
    expect([ward.damaged, ward.failures, ward.unexpected]).toEqual([[], [], []]);
  });

  test('what was read just before it went fits to what is in memory', async () => {
    const gate = new StoreGate();
    const ward = await Ward.open(memoryShelf(), { historyDays: 10, around: gate.around });
    ward.write('phone', put('n2', { n: 0 }));
    ward.write('phone', remove('n2'));
    for (let n = 0; n < 300; n++) ward.write('phone', put('n1', { n }));
    ward.write('phone', put('n2', { n: 1 }));
    for (let n = 0; n < 300; n++) ward.write('phone', put('n1', { n }));
    atDay(ward, 9);
    ward.write('phone', put('n2', { n: 2 }));
    atDay(ward, 12);
    await ward.stop();
    const pruning = gate.hold('prune');
    await ward.load();
    await pruning.reached;
    const ready = ward.line('tablet').ready();
    const written = ready.then((line) => line.update('notes', { id: 'n1', n: -1 }, BEFORE));
    pruning.release();
    const tablet = await ready;
    await written;
    await ward.pruned();
    expect([ward.damaged, ward.failures, ward.unexpected, tablet.closed]).toEqual([[], [], [], null]);
    const { history } = ward.document;
    expect(history.changes(N1, 0, 9_999).filter(({ revision }) => revision <= history.floor)).toEqual([]);
  });

  test('a server that stops before that reports no fault', async () => {
    const { ward, held } = await loaded('history');
    await held.reached;
    await ward.stop();
    held.release();
    await ward.pruned();
    expect([ward.failures, ward.unexpected]).toEqual([[], []]);
  });
});

test('[L7 L4] a device whose write was dropped creates the record once it has seen the deletion', async () => {
  const ward = await Ward.open();
  const made = ward.now + 5_000;
  writeNotes(ward, 'n1');
  await visit(ward, 'tablet');
  ward.write('phone', remove('n1'));
  const tablet = await ward.line('tablet').ready();
  await tablet.update('notes', { id: 'n1', text: 'from the queue' }, made);
  expect([ward.json('notes', 'n1'), tablet.deletions]).toEqual([null, ['n1']]);
  ward.now += 60_000; // it has received that by now
  await tablet.update('notes', { id: 'n1', text: 'anew' });
  expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', text: 'anew' });
});

describe('[H5 H7] a database from before there was a history', () => {
  test('in memory: it begins with the next change', async () => {
    const shelf = memoryShelf();
    const author = new Author();
    const updates = [author.set('n1', new Y.Map([['a', 1]])), author.set('n2', new Y.Map([['b', 1]]))];
    shelf.store.contents.set(Ward.USER, { ...EMPTY, updates, revision: 17, historyFrom: 17 });
    await isTakenUp(await Ward.open(shelf));
  });

  test('in LevelDB: it begins with the next change', async () => {
    const shelf = await levelShelf();
    const store = await shelf.open();
    await store.load(Ward.USER);
    const author = new Author();
    for (const [key, revision] of [
      ['n1', 16],
      ['n2', 17],
    ] as const) {
      const update = author.set(key, new Y.Map([[key === 'n1' ? 'a' : 'b', 1]]));
      await store.commit(Ward.USER, { update, revision });
    }
    await shelf.close();
    await isTakenUp(await Ward.open(shelf));
  });

  async function isTakenUp(ward: Ward): Promise<void> {
    expect([await ward.revisions(), ward.document.revision]).toEqual([[], 17]);
    await expect(ward.restore(N1, 16)).rejects.toMatchObject({ code: 'NOT_IN_HISTORY' });
    const tablet = await ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', a: 2, more: 1 }, ward.now - DAY);
    expect(
      ward.json('notes', 'n1'),
      '[L8] nothing tells when a was written, or whether there was more',
    ).toEqual({ id: 'n1', a: 1 });
    ward.write('phone', put('n1', { a: 3 }));
    ward.write('phone', remove('n2'));
    await ward.restart();
    expect(
      (await saidBy(ward)).map(([revision, , , id, before, after]) => [revision, id, before, after]),
    ).toEqual([
      [18, 'notes/n1', { id: 'n1', a: 1 }, { id: 'n1', a: 3 }],
      [19, 'notes/n2', { id: 'n2', b: 1 }, null],
    ]);
    await ward.restore(N1, 17);
    expect(ward.images().get(keyOf(N1))?.json).toMatchObject({ a: 1 });
    expect([ward.damaged, ward.failures, ward.unexpected]).toEqual([[], [], []]);
  }
});

describe('[H5 H6 L8] an entry that is damaged on disk', () => {
  /** Entries 1 to 8 of one note, one day each, of which the third is damaged. */
  async function damaged(options: WardOptions = {}, days = 8) {
    const shelf = await levelShelf();
    const ward = await Ward.open(shelf, options);
    ward.write('phone', put('n1', { a: 0, b: 0 }));
    const tablet = await ward.line('tablet').ready();
    ward.now += 10_000;
    tablet.leave();
    for (let day = 1; day < 8; day++) {
      atDay(ward, day);
      ward.write('phone', put('n1', { a: day, ...(day === 1 ? { b: 1 } : {}) }));
    }
    await ward.stop();
    await shelf.fixture.edit(async (db) => {
      await changeByte(db, format.historyKey(Ward.USER, 3), 4);
    });
    atDay(ward, days);
    await ward.start();
    return ward;
  }

  test('the document loads, newer entries are shown, older ones are not, and neither is brought back', async () => {
    const ward = await damaged();
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 7, b: 1 });
    const page = await ward.page({ limit: 2 });
    expect([page.entries.map(({ revision }) => revision), page.next]).toEqual([[8, 7], 7]);
    expect(await ward.revisions()).toEqual([4, 5, 6, 7, 8]);
    await ward.restore(N1, 3); // what the fourth entry found
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 2, b: 1 });
    await expect(ward.restore(N1, 2)).rejects.toMatchObject({ code: 'NOT_IN_HISTORY' });
    expect([ward.damaged, ward.failures, ward.unexpected]).toEqual([[], [], []]);
  });

  test('a merge that needs it is made as for a device never met, which is reported once', async () => {
    const ward = await damaged();
    const tablet = await ward.line('tablet').ready();
    const made = Date.UTC(2025, 0, 31) + 4.5 * DAY;
    await tablet.update('notes', { id: 'n1', a: 'old', b: 'old', c: 1 }, made);
    // a was changed after that, b before what can be read.
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 7, b: 'old', c: 1 });
    await tablet.update('notes', { id: 'n2', a: 'old' }, made);
    await tablet.update('notes', { id: 'n1', a: 'old', b: 'old', c: 2 }, made);
    expect(ward.json('notes', 'n1')).toEqual({ id: 'n1', a: 7, b: 'old', c: 2 });
    expect(ward.damaged).toEqual([3]);
    ward.write('phone', put('n1', { a: 8 }));
    expect([ward.failures, ward.unexpected, tablet.closed]).toEqual([[], [], null]);
    expect((await ward.revisions()).at(-1)).toBe(12);
  });

  test.each([
    ['kept', 5],
    ['gone', 40],
  ])('[L7] a deletion from before it is known while the history is %s', async (_, days) => {
    const shelf = await levelShelf();
    const ward = await Ward.open(shelf, { historyDays: 10 });
    const made = ward.now + 1_000;
    writeNotes(ward, 'n1');
    atDay(ward, 1);
    ward.write('phone', remove('n1'));
    writeNotes(ward, 'n2', 'n3', 'n4', 'n5', 'n6', 'n7');
    await ward.stop();
    await shelf.fixture.edit((db) => changeByte(db, format.historyKey(Ward.USER, 3), 4));
    atDay(ward, days);
    await ward.start();
    const tablet = await ward.line('tablet').ready();
    await tablet.update('notes', { id: 'n1', text: 'from before' }, made);
    expect([ward.json('notes', 'n1'), tablet.deletions]).toEqual([null, ['n1']]);
    expect(ward.unexpected).toEqual([]);
  });

  test('it goes when it is too old, without a fault', async () => {
    const ward = await damaged({ historyDays: 10 }, 16);
    expect(ward.unexpected).toEqual([]);
    expect(await ward.revisions()).toEqual([7, 8]);
  });

  test('and so it does when it is the oldest one that is looked at', async () => {
    const ward = await damaged({ historyDays: 10 }, 12.5);
    expect(ward.unexpected).toEqual([]);
    atDay(ward, 30);
    await ward.restart();
    expect(ward.unexpected).toEqual([]);
    expect(await ward.revisions()).toEqual([]);
  });
});
