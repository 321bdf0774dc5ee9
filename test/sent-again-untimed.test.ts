/**
 * A device that names no times sends its queue once more, since a short connection was lost before it heard that this was
 * taken: whatever it and others did, what was taken then changes nothing now (L5).
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonRecord } from '../shared/json.js';
import { assignRecord, recordMap, writeRecord } from '../shared/records.js';
import { runs } from './support/runs.js';
import { memoryShelf, record, Ward } from './support/ward.js';

/** More by hand, as in `legacy-model.test.ts`. */
const RUNS = Number(process.env.MODEL_RUNS ?? 100);
const SEED = Number(process.env.MODEL_SEED ?? 1);

const N1 = record('notes', 'n1');

interface Note extends JsonRecord {
  readonly a?: number;
  readonly b?: number;
  readonly items?: { readonly id: string; readonly mg: number }[];
}

/** What somebody makes of a note; `pick` says of what in it, `value` is a new one. */
interface Deed {
  readonly kind: (typeof KINDS)[number];
  readonly pick: number;
}
// Of lists of values without an id it does not hold (L5).
const KINDS = ['a', 'b', 'drop a', 'add item', 'change item', 'drop item', 'delete'] as const;

/** `null`: there is none. */
function done(note: Note | null, { kind, pick }: Deed, value: number): Note | null {
  if (note === null) return { id: 'n1' as Note['id'], a: value, items: [{ id: `m${pick}`, mg: value }] };
  const { items = [] } = note;
  const at = pick % Math.max(1, items.length);
  switch (kind) {
    case 'delete':
      return null;
    case 'drop a': {
      const { a: _, ...rest } = note;
      return rest as Note;
    }
    case 'add item':
      return {
        ...note,
        items: [...items.filter(({ id }) => id !== `m${pick}`), { id: `m${pick}`, mg: value }],
      };
    case 'change item':
      return { ...note, items: items.map((item, n) => (n === at ? { ...item, mg: value } : item)) };
    case 'drop item':
      return { ...note, items: items.filter((_, n) => n !== at) };
    default:
      return { ...note, [kind]: value };
  }
}

const deed = fc.record({ kind: fc.constantFrom(...KINDS), pick: fc.nat(3) });
/** What the tablet does, and what others do once that is there. */
const queueOf = fc.array(fc.tuple(deed, fc.option(deed)), { minLength: 1, maxLength: 5 });

/** A tablet that has read a note, or that there is none. */
class Life {
  readonly ward: Ward;
  #values = 0;

  private constructor(ward: Ward) {
    this.ward = ward;
  }

  static async begin(isThere: boolean): Promise<Life> {
    const life = new Life(await Ward.open(memoryShelf()));
    const { ward } = life;
    ward.write('phone', (doc) =>
      writeRecord(doc, N1.collection, record('notes', 'n0').id, { id: 'n0', a: 0, b: 0 }),
    );
    if (isThere) life.others({ kind: 'a', pick: 0 });
    const tablet = await ward.line('tablet').ready();
    ward.now += 40_000;
    await tablet.update('notes', { id: 'n0', a: 1, b: 0, items: [{ id: 'm0', mg: 0 }] }, null);
    ward.now += 40_000;
    tablet.leave();
    await ward.document.durable();
    ward.now += 10_000;
    return life;
  }

  get note(): Note | null {
    return this.ward.document.record(N1) as Note | null;
  }

  /** What it wrote offline, on what it has. */
  queue(deeds: readonly Deed[]): (Note | null)[] {
    const queue: (Note | null)[] = [];
    for (const each of deeds)
      queue.push(done(queue.length === 0 ? this.note : (queue.at(-1) ?? null), each, ++this.#values));
    return queue;
  }

  /** A native device changes what differs. */
  others(each: Deed): void {
    this.ward.now += 100;
    const next = done(this.note, each, 100 + ++this.#values);
    this.ward.write('phone', (doc) => {
      const map = recordMap(doc, N1.collection, N1.id);
      if (next === null) doc.getMap(N1.collection).delete(N1.id);
      else if (map === null) writeRecord(doc, N1.collection, N1.id, next);
      else assignRecord(map, next, this.note ?? {});
    });
  }

  /** Returns whether each of them changed something. */
  async sends(
    queue: readonly (Note | null)[],
    between: (index: number) => void = () => {},
  ): Promise<boolean> {
    const { ward } = this;
    let haveAll = true;
    const tablet = await ward.line('tablet').ready();
    for (const [index, note] of queue.entries()) {
      const { revision } = ward.document;
      if (note === null) await tablet.delete('notes', 'n1', null);
      else await tablet.update('notes', note, null);
      haveAll &&= ward.document.revision > revision;
      between(index);
    }
    tablet.leave();
    await ward.document.durable();
    ward.now += 5_000;
    return haveAll;
  }
}

test('[L5 L6 L7] random lives: nothing is undone by a queue without times that is sent again', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      queueOf,
      fc.array(deed, { maxLength: 3 }),
      async (isThere, deeds, since) => {
        const life = await Life.begin(isThere);
        const queue = life.queue(deeds.map(([own]) => own));
        const haveAll = await life.sends(queue, (index) => {
          const meanwhile = deeds[index]?.[1] ?? null;
          if (meanwhile !== null) life.others(meanwhile);
        });
        fc.pre(haveAll); // of others, nobody can tell later that they were taken
        for (const each of since) life.others(each);
        const { note } = life;
        await life.sends(queue);
        expect(life.note).toEqual(note);
        await life.ward.stop();
      },
    ),
    { numRuns: runs(RUNS), seed: SEED },
  );
});

test('[L5] random lives: what comes new behind a queue that is sent again counts', {
  timeout: 120_000,
}, async () => {
  // What it removes may be what it had not got yet: that is kept.
  const kept = deed.filter(({ kind }) => !['delete', 'drop a', 'drop item'].includes(kind));
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(kept, { minLength: 1, maxLength: 4 }), async (isThere, deeds) => {
      const life = await Life.begin(isThere);
      const queue = life.queue([...deeds, { kind: 'b', pick: 0 }]);
      await life.sends(queue.slice(0, -1));
      await life.sends(queue);
      expect(life.note).toEqual(queue.at(-1));
      await life.ward.stop();
    }),
    { numRuns: runs(100), seed: SEED },
  );
});

test('[L5 L9] a deletion that did not arrive the first time deletes nothing that others made anew since', async () => {
  const life = await Life.begin(false);
  const queue = life.queue([
    { kind: 'a', pick: 0 },
    { kind: 'delete', pick: 0 },
  ]);
  await life.sends(queue.slice(0, 1));
  life.others({ kind: 'delete', pick: 0 });
  life.others({ kind: 'a', pick: 1 });
  const { note } = life;
  await life.sends(queue);
  expect(life.note).toEqual(note);
});
