/**
 * A device whose answers were lost sends its queue once more, whatever others did meanwhile: what was taken then
 * changes nothing now (L5), with and without the history of it.
 */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { recordMap, writeRecord } from '../shared/records.js';
import { DAY, memoryShelf, record, Ward, type WardDevice } from './support/ward.js';

const N1 = record('notes', 'n1');

/** `null` for a deletion; times are in ms. */
type Sent = readonly [at: number, note: object | null];

/** A tablet that was there for long enough, and sends a queue; it does not hear that this was taken. */
class Twice {
  readonly ward: Ward;
  readonly #historyDays: number;
  readonly #began: number;

  private constructor(ward: Ward, historyDays: number) {
    this.ward = ward;
    this.#historyDays = historyDays;
    this.#began = ward.now;
  }

  static async open(historyDays: number, fields: object | null): Promise<Twice> {
    const ward = await Ward.open(memoryShelf(), { historyDays });
    if (fields !== null)
      ward.write('phone', (doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', ...fields }));
    const tablet = await ward.line('tablet').ready();
    ward.now += 40_000;
    await tablet.updateAt('notes', { id: 'n0' }, ward.now, ward.now); // its clock is known
    ward.now += 40_000;
    tablet.leave();
    return new Twice(ward, historyDays);
  }

  /** So long after everything was read, the tablet connects and sends what it wrote in this time. */
  async sends(queue: readonly Sent[], between: () => void = () => {}): Promise<void> {
    const { ward } = this;
    ward.now += 10_000;
    const tablet = await ward.line('tablet').ready();
    for (const each of queue) {
      await this.#send(tablet, each);
      between();
    }
    tablet.leave();
    ward.document.saveDevices('all');
    await ward.document.durable();
  }

  async #send(tablet: WardDevice, [at, note]: Sent): Promise<void> {
    const madeAt = this.#began + at;
    if (note === null) await tablet.delete('notes', 'n1', madeAt);
    else await tablet.update('notes', { id: 'n1', ...note }, madeAt);
  }

  /** It is there for long enough once more. */
  async reads(): Promise<void> {
    const tablet = await this.ward.line('tablet').ready();
    this.ward.now += 40_000;
    tablet.leave();
  }

  /** The time by now, as those of the queue are counted. */
  get since(): number {
    return this.ward.now - this.#began;
  }

  /** A message of the tablet comes faster by so many ms than those before: its times count as earlier now. */
  async faster(by: number): Promise<void> {
    const { ward } = this;
    ward.now += 10_000;
    const tablet = await ward.line('tablet').ready();
    await tablet.updateAt('notes', { id: 'n0', by }, ward.now, ward.now + by);
    tablet.leave();
  }

  others(change: Parameters<Ward['write']>[1]): void {
    this.ward.now += 1_000;
    this.ward.write('phone', change);
  }

  set(fields: object): void {
    this.others((doc) => {
      for (const [name, value] of Object.entries(fields))
        recordMap(doc, N1.collection, N1.id)?.set(name, value);
    });
  }

  delete(): void {
    this.others((doc) => doc.getMap('notes').delete('n1'));
  }

  /** What is there then; where history is kept for a day, nothing of it is left. */
  async again(queue: readonly Sent[]): Promise<unknown> {
    await this.ward.document.durable();
    if (this.#historyDays === 1) {
      this.ward.now += 400 * DAY;
      await this.ward.restart();
      expect(await this.ward.revisions()).toEqual([]);
    }
    await this.sends(queue);
    return this.ward.json('notes', 'n1');
  }
}

describe.each([100_000, 1])('HISTORY_DAYS=%i', (historyDays) => {
  const open = (fields: object | null) => Twice.open(historyDays, fields);

  test.each<[string, readonly Sent[]]>([
    ['made', [[1_000, { a: 1 }]]],
    [
      'made and changed',
      [
        [1_000, { a: 1 }],
        [2_000, { a: 2 }],
      ],
    ],
  ])('[L5 L7] a record that it %s, and others deleted, does not come back', async (_, queue) => {
    const twice = await open(null);
    await twice.sends(queue);
    twice.delete();
    expect(await twice.again(queue)).toBeNull();
  });

  test('[L5 L7] nor for a moment, where it deleted it itself', async () => {
    const twice = await open(null);
    const queue: Sent[] = [
      [1_000, { a: 1 }],
      [2_000, null],
    ];
    await twice.sends(queue);
    const { revision } = twice.ward.document;
    expect(await twice.again(queue)).toBeNull();
    expect(twice.ward.document.revision).toBe(revision);
  });

  test('[L5 L6] what others took back stays so', async () => {
    const twice = await open({ a: 0, list: [{ id: 'm1' }, { id: 'm2' }] });
    const queue: Sent[] = [
      [1_000, { a: 1, b: 1, list: [{ id: 'm2' }, { id: 'm3' }] }],
      [2_000, { a: 2, b: 1, list: [{ id: 'm2' }, { id: 'm3' }] }],
    ];
    await twice.sends(queue);
    const after = { id: 'n1', a: 0, list: [{ id: 'm1' }, { id: 'm2' }] };
    twice.set({ a: 0, list: after.list });
    twice.others((doc) => recordMap(doc, N1.collection, N1.id)?.delete('b'));
    expect(await twice.again(queue)).toEqual(after);
  });

  test('[L5 L6] what it typed into a shared text, and others typed on, is not typed again', async () => {
    const twice = await open({ text: '' });
    twice.others((doc) => recordMap(doc, N1.collection, N1.id)?.set('text', new Y.Text('fever')));
    await twice.reads();
    const text = () => recordMap(twice.ward.document.doc, N1.collection, N1.id)?.get('text') as Y.Text;
    const { since } = twice;
    const queue: Sent[] = [
      [since + 1_000, { text: 'fever cough' }],
      [since + 2_000, { text: 'fever cough', a: 1 }],
    ];
    twice.others(() => text().insert(0, 'high '));
    await twice.sends(queue);
    expect(twice.ward.json('notes', 'n1')).toEqual({ id: 'n1', text: 'high fever cough', a: 1 });
    twice.others(() => text().insert(text().length, 'ing'));
    expect(await twice.again(queue)).toEqual({ id: 'n1', text: 'high fever coughing', a: 1 });
  });

  test('[L5 L9] what others put into a record that it deleted and made anew stays', async () => {
    const twice = await open({ a: 0 });
    const queue: Sent[] = [
      [1_000, null],
      [2_000, { a: 1 }],
    ];
    await twice.sends(queue);
    twice.set({ b: 'of others' });
    expect(await twice.again(queue)).toEqual({ id: 'n1', a: 1, b: 'of others' });
  });

  test('[L5 L6] what it wrote in between for the first time counts', async () => {
    const twice = await open({ a: 0 });
    await twice.sends([[1_000, { a: 1 }]]);
    twice.set({ b: 'of others' });
    const queue: Sent[] = [
      [1_000, { a: 1 }],
      [2_000, { a: 0, c: 3 }],
    ];
    expect(await twice.again(queue)).toEqual({ id: 'n1', a: 0, b: 'of others', c: 3 });
  });

  test.each<[string, (name: string) => unknown]>([
    ['elements', (name) => ({ id: name })],
    ['values', (name) => name],
  ])('[L5 L6] what others put into a list of %s, and it had not read, stays', async (_, of) => {
    const list = (...names: string[]) => names.map(of);
    const twice = await open({ list: list('o', 'p') });
    twice.set({ list: list('d') });
    const queue: Sent[] = [
      [1_000, { list: list('m') }],
      [2_000, { list: list('a', 'm') }],
    ];
    await twice.sends(queue);
    const after = { id: 'n1', list: list('d', 'a', 'm') };
    expect(twice.ward.json('notes', 'n1')).toEqual(after);
    expect(await twice.again(queue)).toEqual(after);
  });

  test('[L5 L6] what it put into a list of values, and others removed, does not come back', async () => {
    const twice = await open({ tags: [] });
    twice.set({ tags: ['z'] }); // which it has not read
    const queue: Sent[] = [
      [1_000, { tags: ['x', 'y'] }],
      [2_000, { tags: ['x', 'y'], a: 1 }],
    ];
    await twice.sends(queue);
    expect(twice.ward.json('notes', 'n1')).toEqual({ id: 'n1', tags: ['z', 'x', 'y'], a: 1 });
    twice.set({ tags: ['z', 'y'] });
    expect(await twice.again(queue)).toEqual({ id: 'n1', tags: ['z', 'y'], a: 1 });
  });
});

test('[L5 L7] nor does a record that others deleted where its clock was corrected meanwhile', async () => {
  const twice = await Twice.open(100_000, null);
  const queue: Sent[] = [[1_000, { a: 1 }]];
  await twice.sends(queue);
  twice.delete();
  await twice.faster(10);
  expect(await twice.again(queue)).toBeNull();
});

describe('[L5] a queue that is sent for the first time, all of it written within', () => {
  test.each<[string, object | null, readonly Sent[], object | null]>([
    [
      'one moment, makes anew what it deleted',
      { a: 0 },
      [
        [1_000, null],
        [1_000, { a: 1 }],
      ],
      { id: 'n1', a: 1 },
    ],
    [
      'one moment, deletes what it changed',
      { a: 0 },
      [
        [1_000, { a: 1 }],
        [1_000, null],
      ],
      null,
    ],
    [
      'one second of a clock that tells no less, puts back what it changed',
      { a: 0 },
      [
        [1_000, { a: 1 }],
        [1_000, { a: 2 }],
        [1_000, { a: 1 }],
      ],
      { id: 'n1', a: 1 },
    ],
  ])('%s', async (_, before, queue, after) => {
    const twice = await Twice.open(100_000, before);
    await twice.sends(queue);
    expect(twice.ward.json('notes', 'n1')).toEqual(after);
  });
});

test('[L5 L7] a write that comes after a later one of its device makes no record that others deleted', async () => {
  const twice = await Twice.open(100_000, null);
  await twice.sends([[2_000, { a: 2 }]]);
  twice.delete();
  expect(await twice.again([[1_000, { a: 1 }]])).toBeNull();
});
