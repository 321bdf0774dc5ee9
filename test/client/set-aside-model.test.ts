/**
 * A device whose server refuses some changes, in random orders (C11): what is pending goes to it one by one, as the
 * exchange over HTTP sends it in the end, and each refused change is set aside. The server is a document that takes
 * nothing with the word BIG in it; `refused.test.ts` has the real one.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import type { PendingChange } from '../../client/connection/sync-source.js';
import { type RecordWrite, writeAgain } from '../../client/records/record-write.js';
import { without } from '../../client/refused/set-aside.js';
import type { CollectionName, RecordId } from '../../shared/names.js';
import { assignRecord, readRecord, recordMap, writeRecord } from '../../shared/records.js';
import { runs } from '../support/runs.js';

const NOTES = 'notes' as CollectionName;
const IDS = ['a', 'b', 'c'] as RecordId[];
const FIELDS = ['x', 'y', 'list', 'deep'];

type Step =
  | { readonly do: 'write'; readonly id: RecordId; readonly field: string; readonly value: string }
  | { readonly do: 'delete'; readonly id: RecordId }
  | { readonly do: 'other'; readonly id: RecordId }
  | { readonly do: 'restart' }
  | { readonly do: 'send' };

const id = fc.constantFrom(...IDS);
const value = fc.oneof(
  { weight: 4, arbitrary: fc.nat(99).map(String) },
  { weight: 1, arbitrary: fc.nat(9).map((n) => `BIG${n}`) },
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        id,
        field: fc.constantFrom(...FIELDS),
        value,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), id }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('other' as const), id }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'send' as const }) },
  ),
  { maxLength: 30 },
);

const isBig = (update: Uint8Array): boolean => Buffer.from(update).includes('BIG');

/** The value as it stands in its kind of field. */
function inField(field: string, value: string, before: unknown): unknown {
  if (field === 'list') return [...(Array.isArray(before) ? before : []), value];
  if (field === 'deep') return { ...(typeof before === 'object' ? before : {}), [`k${value.length}`]: value };
  return value;
}

class World {
  readonly server = new Y.Doc();
  readonly refused: RecordWrite[] = [];
  doc = new Y.Doc();
  pending: PendingChange[] = [];
  #last = 0;

  write(change: (doc: Y.Doc) => void): void {
    const note = (update: Uint8Array) => this.pending.push({ number: ++this.#last, update, madeAt: 0 });
    this.doc.on('update', note);
    this.doc.transact(() => change(this.doc));
    this.doc.off('update', note);
  }

  /** Another session of Yjs, as after a restart of the app. */
  restart(): void {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.doc));
    this.doc = doc;
  }

  send(): void {
    for (let [next] = this.pending; next !== undefined; [next] = this.pending) {
      if (isBig(next.update)) this.#setAside(next.number);
      else {
        Y.applyUpdate(this.server, next.update);
        expect(this.server.store.pendingStructs, 'nothing waits for what is gone').toBeNull();
        this.pending.shift();
      }
    }
    Y.applyUpdate(this.doc, Y.encodeStateAsUpdate(this.server));
  }

  #setAside(number: number): void {
    const state = Y.encodeStateAsUpdate(this.server);
    const before = this.pending.length;
    const { pending, writes } = without(number, state, this.pending);
    expect(pending.length).toBeLessThanOrEqual(before - (writes === null ? 0 : 1));
    this.refused.push(...(writes ?? []));
    this.pending = pending.map((change) => ({ ...change, number: ++this.#last }));
    this.doc = new Y.Doc();
    for (const update of [state, ...pending.map((change) => change.update)]) Y.applyUpdate(this.doc, update);
  }
}

const readAll = (doc: Y.Doc) =>
  Object.fromEntries(
    IDS.flatMap((id) => {
      const map = recordMap(doc, NOTES, id);
      return map === null ? [] : [[id, readRecord(map, id)]];
    }),
  );

function run(world: World, step: Step): void {
  const { server } = world;
  if (step.do === 'restart') world.restart();
  else if (step.do === 'send') world.send();
  else if (step.do === 'delete') world.write((doc) => void doc.getMap(NOTES).delete(step.id));
  else if (step.do === 'other') {
    const other = new Y.Doc();
    Y.applyUpdate(other, Y.encodeStateAsUpdate(server));
    const map = recordMap(other, NOTES, step.id);
    if (map !== null) map.set('other', 'theirs');
    Y.applyUpdate(server, Y.encodeStateAsUpdate(other));
  } else
    world.write((doc) => {
      const map = recordMap(doc, NOTES, step.id);
      const current = map === null ? null : readRecord(map, step.id);
      const value = inField(step.field, step.value, current?.[step.field]) as string;
      if (map === null || current === null) writeRecord(doc, NOTES, step.id, { [step.field]: value });
      else assignRecord(map, { ...current, [step.field]: value }, current);
    });
}

const leaves = (value: unknown): string[] =>
  typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [String(value)];

test('[C11] whatever is refused, nothing is lost, and the device shows what the server has', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const world = new World();
      let wanted = readAll(world.doc);
      for (const step of all) {
        run(world, step);
        if (step.do === 'send') {
          expect(readAll(world.doc)).toEqual(readAll(world.server));
          world.refused.splice(0); // seen, and done with
        }
        wanted = readAll(world.doc);
      }
      world.send();
      const there = readAll(world.server);
      expect(readAll(world.doc)).toEqual(there);
      expect(JSON.stringify(there)).not.toContain('BIG');
      // Each value that the person saw last is on the server, or in what was set aside of this record.
      for (const [id, record] of Object.entries(wanted)) {
        const aside = world.refused.filter((write) => write.id === id).map(({ record }) => record);
        const kept = new Set(leaves([there[id], aside]));
        expect(leaves(record).filter((leaf) => !kept.has(leaf))).toEqual([]);
      }
      // What is taken in the end is there, however much of what led to it was refused.
      const withoutTheirs = (record: object | undefined) => record && { ...record, other: undefined };
      for (const id of IDS)
        if (!JSON.stringify(wanted[id] ?? null).includes('BIG'))
          expect(withoutTheirs(there[id])).toEqual(withoutTheirs(wanted[id]));
      // Retrying what was refused, where there is room by then, brings it.
      for (const write of world.refused) writeAgain(world.doc, write);
      const after = readAll(world.doc);
      for (const { id, record, fields } of world.refused)
        if (record !== null)
          expect(Object.keys(after[id] ?? {})).toEqual(
            expect.arrayContaining([...fields].filter((name) => name in record)),
          );
    }),
    { numRuns: Number(process.env.MODEL_RUNS ?? runs(300)) },
  );
});
