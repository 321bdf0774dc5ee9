import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import * as Y from 'yjs';
import { cutForLine } from '../../../server/documents/line-parts.js';
import type { UserId } from '../../../shared/names.js';
import { user } from '../../support/notes.js';
import { runs } from '../../support/runs.js';

const ANNA = user('anna');
const BERT = user('bert');

/** Applies the parts one by one; none of them may wait for another. */
function applied(parts: readonly Uint8Array[], doc = new Y.Doc({ gc: false })): Y.Doc {
  for (const part of parts) {
    Y.applyUpdate(doc, part);
    expect([doc.store.pendingStructs, doc.store.pendingDs]).toEqual([null, null]);
  }
  return doc;
}

const small = { structs: Number.POSITIVE_INFINITY, bytes: 200, deletions: 3 };

/** Three devices that edit maps, lists and texts, hear of each other now and then, and delete. */
function edited(steps: readonly (readonly [number, number, number])[], gc: boolean): Y.Doc {
  const docs = [1, 2, 3].map((clientID) => Object.assign(new Y.Doc({ gc }), { clientID }));
  for (const [who, what, at] of steps) {
    const doc = docs[who % 3] as Y.Doc;
    const list = doc.getArray<unknown>('list');
    const map = doc.getMap('map');
    if (what === 0) map.set(`k${at % 5}`, new Y.Map([['v', 'x'.repeat(at % 60)]]));
    else if (what === 1) list.insert(at % (list.length + 1), [at, 'value', { at }]);
    else if (what === 2 && list.length > 0) list.delete(at % list.length, 1);
    else if (what === 3) map.delete(`k${at % 5}`);
    else if (what === 4)
      doc.getText('text').insert(at % (doc.getText('text').length + 1), 'word '.repeat(at % 9));
    else Y.applyUpdate(doc, Y.encodeStateAsUpdate(docs[at % 3] as Y.Doc, Y.encodeStateVector(doc)));
  }
  const [doc = new Y.Doc(), ...others] = docs;
  for (const other of others) Y.applyUpdate(doc, Y.encodeStateAsUpdate(other));
  return doc;
}

const contents = (doc: Y.Doc) => [
  doc.getMap('map').toJSON(),
  doc.getArray('list').toJSON(),
  doc.getText('text').toJSON(),
];

describe('[N10] an update in parts', () => {
  test('has the same content, and each part builds only on those before it', async () => {
    const step = fc.tuple(fc.nat(2), fc.nat(5), fc.nat(1_000));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), fc.boolean(), async (steps, gc) => {
        const doc = edited(steps, gc);
        const update = Y.encodeStateAsUpdate(doc);
        const parts = await cutForLine(ANNA, update, small);
        const copy = applied(parts);
        expect(contents(copy)).toEqual(contents(doc));
        expect(Y.encodeStateAsUpdate(copy)).toEqual(Y.encodeStateAsUpdate(applied([update])));
      }),
      { numRuns: runs(60) },
    );
  });

  test('so it is with what somebody lacks who has a part of it', async () => {
    const step = fc.tuple(fc.nat(2), fc.nat(5), fc.nat(1_000));
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 40, maxLength: 120 }),
        fc.nat(100),
        async (steps, share) => {
          const doc = edited(steps, true);
          const known = edited(steps.slice(0, Math.floor((steps.length * share) / 100)), true);
          const missing = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(known));
          const copy = applied(await cutForLine(ANNA, missing, small), known);
          expect(contents(copy)).toEqual(contents(doc));
        },
      ),
      { numRuns: runs(60) },
    );
  });

  test('no part is larger than it may be, but for a single struct', async () => {
    const doc = new Y.Doc();
    doc.transact(() => {
      for (let n = 0; n < 3_000; n++) doc.getMap('notes').set(`n${n}`, 'x'.repeat(900));
      doc.getMap('notes').set('large', 'y'.repeat(700_000));
    });
    const sizes = (await cutForLine(ANNA, Y.encodeStateAsUpdate(doc))).map(({ length }) => length);
    expect(sizes.length).toBeGreaterThan(10);
    expect(sizes.filter((size) => size > 256 * 1_024 + 100)).toEqual([expect.closeTo(700_000, -3)]);
  });

  test('many clients, and very many deletions, are cut as well', async () => {
    const doc = new Y.Doc();
    const map = doc.getMap('notes');
    doc.transact(() => {
      for (let client = 1; client <= 25_000; client++) {
        doc.clientID = client;
        for (const name of ['a', 'b', 'c']) map.set(`${name}${client}`, client);
      }
    });
    doc.transact(() => {
      for (let client = 1; client <= 25_000; client++) map.delete(`b${client}`);
    });
    const parts = await cutForLine(ANNA, Y.encodeStateAsUpdate(doc));
    expect(parts.length).toBeGreaterThan(4);
    const copy = new Y.Doc();
    for (const part of parts) Y.applyUpdate(copy, part);
    expect(copy.getMap('notes').size).toBe(50_000);
    expect(Math.max(...parts.map(({ length }) => length))).toBeLessThan(400_000);
  });

  test('kinds that no device may send, but a stored document may have, are no obstacle', async () => {
    const doc = new Y.Doc();
    doc.getMap('docs').set('inner', new Y.Doc());
    doc.getXmlFragment('page').insert(0, [new Y.XmlElement('p'), new Y.XmlText('words')]);
    doc.getText('text').insert(0, 'bold', { bold: true });
    const update = Y.encodeStateAsUpdate(doc);
    const copy = applied(await cutForLine(ANNA, update, small));
    expect(copy.getXmlFragment('page').toString()).toBe(doc.getXmlFragment('page').toString());
    expect(Y.encodeStateAsUpdate(copy)).toEqual(update);
  });

  test('one with gaps goes as it is', async () => {
    const doc = new Y.Doc();
    const updates: Uint8Array[] = [];
    doc.on('update', (update: Uint8Array) => updates.push(update));
    for (let n = 0; n < 3; n++) doc.getMap('notes').set(`n${n}`, n);
    const [first = new Uint8Array(0), , third = first] = updates;
    const withGap = Y.mergeUpdates([first, third]);
    expect(await cutForLine(ANNA, withGap, { ...small, bytes: 1 })).toEqual([withGap]);
  });

  test('others have their turn while a large one is cut', async () => {
    const doc = new Y.Doc();
    doc.transact(() => {
      for (let n = 0; n < 60_000; n++) doc.getMap('notes').set(`n${n}`, n);
    });
    const update = Y.encodeStateAsUpdate(doc);
    let [turns, time] = [0, 0];
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => ++time * 1_000);
    onTestFinished(() => clock.mockRestore()); // a turn is over with its first step, however fast this machine is
    const watch = setInterval(() => {}, 1);
    const turn = (): void => {
      turns++;
      again = setImmediate(turn);
    };
    let again = setImmediate(turn);
    const parts = await cutForLine(ANNA, update);
    clearImmediate(again);
    clearInterval(watch);
    expect(parts.length).toBeGreaterThan(2);
    expect(turns).toBeGreaterThan(20);
  });

  test('[S] who has many to be cut keeps others waiting for one of them', async () => {
    const doc = new Y.Doc();
    for (let n = 0; n < 10; n++) doc.getMap('notes').set(`n${n}`, 'x'.repeat(100));
    const done: string[] = [];
    const cut = (of: UserId) =>
      cutForLine(of, Y.encodeStateAsUpdate(doc), small).then(() => void done.push(of));
    await Promise.all([cut(ANNA), cut(ANNA), cut(ANNA), cut(BERT)]);
    expect(done).toEqual([ANNA, BERT, ANNA, ANNA]);
  });

  test('[S] what is to be cut for nobody costs no pass, and its user no place', async () => {
    const doc = new Y.Doc();
    for (let n = 0; n < 10; n++) doc.getMap('notes').set(`n${n}`, 'x'.repeat(100));
    const done: string[] = [];
    const cut = (of: UserId, isWanted = true) =>
      cutForLine(of, Y.encodeStateAsUpdate(doc), small, () => isWanted).then(() => void done.push(of));
    const gone = expect(cut(ANNA, false)).rejects.toMatchObject({ code: 'RESTARTING' });
    await Promise.all([gone, cut(ANNA), cut(BERT)]);
    expect(done).toEqual([ANNA, BERT]);
  });
});
