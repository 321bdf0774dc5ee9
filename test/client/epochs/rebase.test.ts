/** What becomes of pending changes where the server has written the document anew: without stores and servers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { rebase } from '../../../client/epochs/rebase.js';
import { Epoch, retiredIn } from '../../../server/documents/epochs/epoch.js';
import { rewritten } from '../../../server/documents/epochs/rewrite.js';
import type { CollectionName, RecordId } from '../../../shared/names.js';
import { assignRecord, readCollection, readRecord, recordMap, writeRecord } from '../../../shared/records.js';

const NOTES = 'notes' as CollectionName;
const A = 'a' as RecordId;
type Change = (doc: Y.Doc) => void;

/** Makes the changes one by one; their updates. */
function madeOn(doc: Y.Doc, changes: readonly Change[]): Uint8Array[] {
  return changes.flatMap((change) => {
    const updates: Uint8Array[] = [];
    const note = (update: Uint8Array): void => void updates.push(update);
    doc.on('update', note);
    doc.transact(() => change(doc));
    doc.off('update', note);
    return updates;
  });
}

const docOf = (...updates: Uint8Array[]): Y.Doc => {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
};

interface Scene {
  readonly first: Change;
  readonly mine: readonly Change[];
  /** So many of them the server had got, and never said so. */
  readonly arrived?: number;
  readonly theirs?: readonly Change[];
  /** The store was compacted behind the changes. */
  readonly isMixed?: boolean;
}

/** A device that was away while the others wrote, and the document was written anew. */
function awayIn({ first, mine, arrived = 0, theirs = [], isMixed = false }: Scene) {
  const server = new Y.Doc();
  madeOn(server, [first]);
  const begin = Y.encodeStateAsUpdate(server);
  const device = docOf(begin);
  const pending = madeOn(device, mine).map((update, i) => ({
    number: i + 1,
    update,
    madeAt: 1_000 + i,
    isPending: true,
  }));
  for (const { update } of pending.slice(0, arrived)) Y.applyUpdate(server, update);
  madeOn(server, theirs);
  const next = Y.encodeStateAsUpdate(rewritten(server, Math.floor(Math.random() * 2 ** 32)));
  const base = isMixed ? Y.encodeStateAsUpdate(device) : begin;
  const epoch = Epoch.after(null, retiredIn(server), { revision: 0, mark: 0 }).encode();
  const stored = [{ number: 0, update: base, isPending: false }, ...pending];
  const { state, pending: made, unclear } = rebase(stored, next, epoch);
  const doc = docOf(state, ...made.map(({ update }) => update));
  expect(doc.store.pendingStructs).toBeNull();
  return { made, pending, unclear, doc, next: docOf(next), notes: readCollection(doc, NOTES) };
}

const write =
  (fields: object, id = A): Change =>
  (doc) => {
    const map = recordMap(doc, NOTES, id);
    if (map === null) return writeRecord(doc, NOTES, id, { ...fields });
    const current = readRecord(map, id);
    assignRecord(map, { ...current, ...fields }, current);
  };
const remove =
  (field: string): Change =>
  (doc) =>
    recordMap(doc, NOTES, A)?.delete(field);
const drop =
  (id = A): Change =>
  (doc) =>
    void doc.getMap(NOTES).delete(id);

describe('[P10] a pending change is made once more', () => {
  test('fields, new records and deletions, each as one change with its time, in their order', () => {
    const first: Change = (doc) => {
      write({ x: 1, y: 1, gone: 1 })(doc);
      write({ x: 1 }, 'b' as RecordId)(doc);
    };
    const mine = [
      write({ x: 2 }),
      write({ x: 3 }),
      remove('gone'),
      drop('b' as RecordId),
      write({ n: 1 }, 'c' as RecordId),
    ];
    const { made, unclear, notes } = awayIn({ first, mine, theirs: [write({ y: 2 })] });
    expect(made.map(({ number, madeAt }) => [number, madeAt])).toEqual(
      mine.map((_, i) => [i + 1, 1_000 + i]),
    );
    expect(unclear).toEqual([]);
    expect(notes).toEqual([
      { id: 'a', x: 3, y: 2 },
      { id: 'c', n: 1 },
    ]);
  });

  test('nothing of the old document is named', () => {
    const { made, next } = awayIn({
      first: write({ x: 1 }),
      mine: [write({ x: 2 }), write({ y: { z: [1] } })],
    });
    const known = new Set(next.store.clients.keys());
    const ids = made.flatMap(({ update }) => Y.decodeUpdate(update).structs.map(({ id }) => id.client));
    expect(new Set(ids.filter((id) => !known.has(id))).size).toBe(1);
    expect(
      docOf(Y.encodeStateAsUpdate(next), ...made.map(({ update }) => update)).store.pendingStructs,
    ).toBeNull();
  });

  test('what the server has got already is no change any more', () => {
    const change = write({ x: 2, list: [{ id: 1 }], text: 'b' });
    const { made, unclear, notes } = awayIn({ first: write({ x: 1 }), mine: [change], theirs: [change] });
    expect([made, unclear]).toEqual([[], []]);
    expect(notes).toEqual([{ id: 'a', x: 2, list: [{ id: 1 }], text: 'b' }]);
  });

  test.each([0, 1, 2, 3])('%i that the server has got, and never said so, do not come twice', (arrived) => {
    const textOf = (doc: Y.Doc) => recordMap(doc, NOTES, A)?.get('text') as Y.Text;
    const first: Change = (doc) => void doc.getMap(NOTES).set(A, new Y.Map([['text', new Y.Text('Hi')]]));
    const mine = [' ', 'a', 'b'].map(
      (letter, i): Change =>
        (doc) =>
          textOf(doc).insert(2 + i, letter),
    );
    const { notes, unclear } = awayIn({ first, mine, arrived, theirs: [write({ x: 1 })] });
    expect([notes, unclear]).toEqual([[{ id: 'a', text: 'Hi ab', x: 1 }], []]);
  });

  test('elements of lists: what came, went and changed on both sides', () => {
    const of = (...list: object[]) => write({ list });
    const { notes, unclear } = awayIn({
      first: of({ id: 1, v: 1 }, { id: 2, v: 1 }, { id: 3, v: 1 }),
      mine: [of({ id: 1, v: 2 }, { id: 2, v: 1 }), of({ id: 1, v: 2 }, { id: 2, v: 1 }, { id: 4, v: 1 })],
      theirs: [of({ id: 1, v: 1 }, { id: 2, v: 9 }, { id: 3, v: 1 }, { id: 5, v: 1 })],
    });
    expect(unclear).toEqual([]);
    expect(notes[0]?.list).toEqual([
      { id: 1, v: 2 },
      { id: 2, v: 9 },
      { id: 5, v: 1 },
      { id: 4, v: 1 },
    ]);
  });

  test('words in a shared text', () => {
    const text = new Y.Text('Fever. Cough.');
    const edit =
      (from: string, to: string): Change =>
      (doc) => {
        const map = recordMap(doc, NOTES, A);
        if (map === null) return;
        const current = readRecord(map, A);
        assignRecord(map, { ...current, text: String(current.text).replace(from, to) }, current);
      };
    const { doc, notes } = awayIn({
      first: (doc) => void doc.getMap(NOTES).set(A, new Y.Map([['text', text]])),
      mine: [edit('Cough', 'No cough')],
      theirs: [edit('Fever', 'High fever')],
    });
    expect(notes[0]?.text).toBe('High fever. No cough.');
    expect(recordMap(doc, NOTES, A)?.get('text')).toBeInstanceOf(Y.Text);
  });

  test('marks and embeds in a shared text, or they are set aside', () => {
    const textOf = (doc: Y.Doc) => recordMap(doc, NOTES, A)?.get('text') as Y.Text;
    const first: Change = (doc) => void doc.getMap(NOTES).set(A, new Y.Map([['text', new Y.Text('Hello.')]]));
    const mine: Change[] = [
      (doc) => textOf(doc).format(0, 5, { bold: true }),
      (doc) => textOf(doc).insert(6, ' it\n', { italic: true }),
      (doc) => textOf(doc).insertEmbed(0, { image: 'x' }),
    ];
    for (const arrived of [0, 1, 2, 3]) {
      const { doc, unclear } = awayIn({ first, mine, arrived, theirs: [write({ x: 1 })] });
      const wanted = docOf();
      for (const change of [first, ...mine]) change(wanted);
      expect([textOf(doc).toDelta(), unclear]).toEqual([textOf(wanted).toDelta(), []]);
    }
    const typed: Change = (doc) => textOf(doc).insert(0, 'Oh! ');
    for (const isMixed of [false, true]) {
      const { unclear } = awayIn({ first, mine: mine.slice(0, 1), theirs: [typed], isMixed });
      expect(unclear).toMatchObject([{ number: 1, writes: [{ id: 'a', fields: ['text'] }] }]);
    }
  });

  test('tags that can not be written as JSON are set aside', () => {
    const rich = (doc: Y.Doc): Y.XmlFragment => recordMap(doc, NOTES, A)?.get('text') as Y.XmlFragment;
    const { unclear, notes } = awayIn({
      first: (doc) => {
        const [fragment, paragraph] = [new Y.XmlFragment(), new Y.XmlElement('paragraph')];
        doc.getMap(NOTES).set(A, new Y.Map<unknown>([['text', fragment]]));
        fragment.insert(0, [paragraph]);
        paragraph.insert(0, [new Y.XmlText('Rest')]);
      },
      mine: [(doc) => rich(doc).insert(1, [new Y.XmlElement('picture')])],
    });
    expect(notes[0]?.text).toBe('<paragraph>Rest</paragraph>');
    expect(unclear.map(({ number, writes }) => [number, writes[0]?.fields])).toEqual([[1, ['text']]]);
  });

  test('a record that this device created keeps its texts with their marks', () => {
    const { doc, unclear } = awayIn({
      first: () => {},
      mine: [
        (doc) => {
          const text = new Y.Text();
          text.insert(0, 'bold', { bold: true });
          doc.getMap(NOTES).set(A, new Y.Map([['text', text]]));
        },
      ],
    });
    const text = recordMap(doc, NOTES, A)?.get('text') as Y.Text;
    expect(text.toDelta()).toEqual([{ insert: 'bold', attributes: { bold: true } }]);
    expect(unclear).toEqual([]);
  });
});

describe('[P10 D5] where others have changed the same', () => {
  test('a field: for Yjs both are concurrent, so that the server compares their times', () => {
    const { made, notes } = awayIn({
      first: write({ x: 1, deep: { y: 1 } }),
      mine: [write({ x: 2, deep: { y: 2 } })],
      theirs: [write({ x: 3, deep: { y: 3 } })],
    });
    const { structs, ds } = Y.decodeUpdate(made[0]?.update as Uint8Array);
    expect(structs.map((struct) => (struct as Y.Item).origin)).toEqual([null, null]);
    expect(ds.clients.size).toBe(0);
    expect(notes).toEqual([{ id: 'a', x: 2, deep: { y: 2 } }]); // until the server has compared them
  });

  test('a removal gives way to another value, and an edit to the deletion of the record', () => {
    const removed = awayIn({ first: write({ x: 1 }), mine: [remove('x')], theirs: [write({ x: 3 })] });
    expect(removed.notes).toEqual([{ id: 'a', x: 3 }]);
    const deleted = awayIn({ first: write({ x: 1 }), mine: [write({ x: 2 })], theirs: [drop()] });
    expect([deleted.notes, deleted.made, deleted.unclear]).toEqual([[], [], []]);
    const both = awayIn({ first: write({ x: 1 }), mine: [drop()], theirs: [write({ x: 3 })] });
    expect(both.notes).toEqual([]);
  });

  test('a record that both created goes as it was made: the server unites them (D4)', () => {
    const { made, pending } = awayIn({
      first: () => {},
      mine: [write({ x: 1 })],
      theirs: [write({ y: 1 })],
    });
    expect(pending).toMatchObject(made);
  });
});

describe('[P10] what the server had got, and never said so', () => {
  const b = 'b' as RecordId;
  const both: Change = (doc) => {
    write({ x: 1, gone: 1 })(doc);
    write({ x: 1 }, b)(doc);
  };

  test.each<[string, Change, Change]>([
    ['a deletion, of a record that others created anew', drop(), write({ again: 1 })],
    ['a removal, of a field that others wrote anew', remove('gone'), write({ gone: 2 })],
    ['a field, that others changed', write({ x: 2 }), write({ x: 3 })],
    ['a field, that others changed back', write({ x: 2 }), write({ x: 1 })],
    ['a new record, that others deleted', write({ n: 1 }, 'c' as RecordId), drop('c' as RecordId)],
  ])('%s: it is not done once more', (_, change, theirs) => {
    const { made, unclear, doc, next } = awayIn({
      first: both,
      mine: [change],
      arrived: 1,
      theirs: [theirs],
    });
    expect([made, unclear]).toEqual([[], []]);
    expect(readCollection(doc, NOTES)).toEqual(readCollection(next, NOTES));
  });

  /** A deletion that the server has taken, or not, before its document was written anew twice. */
  function overTwo({ arrived = true, isLarge = false, isMixed = false, theirs = write({ x: 2 }) }) {
    const former = { revision: 0, mark: 0 };
    const server = docOf(...madeOn(new Y.Doc(), [write({ x: 1 })]));
    const begin = Y.encodeStateAsUpdate(server);
    const device = docOf(begin);
    const [update = begin] = madeOn(device, [drop()]);
    if (arrived) Y.applyUpdate(server, update);
    const second = rewritten(server, 7);
    // What was alive in a large document is known of the last one alone.
    const all = Array.from({ length: 80_000 }, (_, at) => 2 * at);
    const more = isLarge ? [{ client: 5, upTo: 160_000, living: all }] : [];
    const first = Epoch.after(null, [...retiredIn(server), ...more], former);
    madeOn(second, [theirs]);
    const epoch = Epoch.after(first, retiredIn(second), former);
    const rows = [
      { number: 1, update: isMixed ? Y.encodeStateAsUpdate(device) : begin, isPending: false },
      { number: 2, update, madeAt: 1_000, isPending: true },
    ];
    const { state, pending, unclear } = rebase(
      rows,
      Y.encodeStateAsUpdate(rewritten(second, 8)),
      epoch.encode(),
    );
    const doc = docOf(state, ...pending.map((each) => each.update));
    return { pending, unclear, notes: readCollection(doc, NOTES) };
  }
  const nothing = () => {};

  test('over two rewrites: a deletion that had arrived before the first deletes nothing that was made anew since', () => {
    const { pending, unclear, notes } = overTwo({});
    expect([pending, unclear, notes]).toEqual([[], [], [{ id: 'a', x: 2 }]]);
  });

  test.each([
    { arrived: true },
    { arrived: false },
    { arrived: true, isMixed: true },
    { arrived: false, isMixed: true, theirs: nothing },
  ])(
    'over two rewrites of a large document: of a record that reads otherwise, a person decides: %o',
    (scene) => {
      const { pending, unclear, notes } = overTwo({ isLarge: true, ...scene });
      expect(pending).toEqual([]);
      expect(notes).toHaveLength(1);
      expect(unclear).toMatchObject([{ number: 2, writes: [{ collection: NOTES, id: A, record: null }] }]);
    },
  );

  test('over two rewrites of a large document: of one that reads as it did, the deletion is made', () => {
    const { pending, unclear, notes } = overTwo({ isLarge: true, arrived: false, theirs: nothing });
    expect([pending.length, unclear, notes]).toEqual([1, [], []]);
    const gone = overTwo({ isLarge: true, theirs: nothing });
    expect([gone.pending, gone.unclear, gone.notes]).toEqual([[], [], []]);
  });

  test('a deletion that had not arrived is made, also of what others changed', () => {
    const mine = [write({ x: 2 }), drop(), drop(b)];
    const { notes } = awayIn({ first: both, mine, arrived: 2, theirs: [write({ x: 9 }, b)] });
    expect(notes).toEqual([]);
  });

  test.each([1, 30])('%i elements of a list and as many letters, of which others took some away', (size) => {
    const inside = (doc: Y.Doc, field: string) => recordMap(doc, NOTES, A)?.get(field);
    const add =
      (name: string): Change =>
      (doc) => {
        const [tags, text] = [inside(doc, 'tags') as Y.Array<unknown>, inside(doc, 'text') as Y.Text];
        tags.push(Array.from({ length: size }, () => name));
        text.insert(text.length, ` ${name.repeat(size)}`);
      };
    const first: Change = (doc) =>
      void doc.getMap(NOTES).set(
        A,
        new Y.Map<unknown>([
          ['tags', Y.Array.from(['x'])],
          ['text', new Y.Text('x')],
        ]),
      );
    const cut: Change = (doc) => {
      (inside(doc, 'tags') as Y.Array<unknown>).delete(1, 1);
      (inside(doc, 'text') as Y.Text).insert(0, 'Oh. ');
    };
    const mine = [add('a'), add('b')];
    for (const arrived of [1, 2]) {
      const { notes, unclear } = awayIn({ first, mine, arrived, theirs: [cut] });
      const tags = [...`x${'a'.repeat(size - 1)}${'b'.repeat(size)}`];
      const text = `Oh. x ${'a'.repeat(size)} ${'b'.repeat(size)}`;
      expect([notes, unclear]).toEqual([[{ id: 'a', tags, text }], []]);
    }
  });
});

describe('[P10 C9] what another tab sends', () => {
  test('while this one makes it once more is the same: nothing that was deleted comes back', () => {
    const device = new Y.Doc();
    const [added, deleted] = madeOn(device, [write({ x: 1 }), drop()]) as [Uint8Array, Uint8Array];
    const server = rewritten(docOf(), 1);
    const next = Y.encodeStateAsUpdate(server);
    const epoch = Epoch.after(null, retiredIn(docOf()), { revision: 0, mark: 0 }).encode();
    for (const isConfirmed of [false, true]) {
      const stored = [
        { number: 1, update: added, isPending: !isConfirmed },
        { number: 2, update: deleted, isPending: true },
      ];
      const { state, pending } = rebase(stored, next, epoch);
      const there = docOf(next, added, ...pending.map(({ update }) => update));
      expect(readCollection(there, NOTES)).toEqual([]);
      expect(pending.length).toBe(isConfirmed ? 1 : 2);
      expect(readCollection(docOf(state), NOTES)).toHaveLength(isConfirmed ? 1 : 0);
    }
  });
});

describe('[P10 C9] what another tab has stored of the new document', () => {
  test('while it still had the old one deletes nothing there', () => {
    const old = docOf();
    madeOn(old, [write({ x: 1 })]);
    const server = rewritten(old, 1);
    const epoch = Epoch.after(null, retiredIn(old), { revision: 0, mark: 0 }).encode();
    const next = Y.encodeStateAsUpdate(server);
    const { structs, ds } = Y.decodeUpdate(next);
    expect([structs.length > 0, ds.clients.size]).toEqual([true, 0]);
    // Of two that are concurrent for Yjs the one with the higher client id stays: the old one.
    const [united] = madeOn(docOf(Y.encodeStateAsUpdate(old)), [(doc) => Y.applyUpdate(doc, next)]);
    const stored = [Y.encodeStateAsUpdate(old), united as Uint8Array];
    const rows = stored.map((update, number) => ({ number, update, isPending: false }));
    const { state } = rebase(rows, next, epoch);
    expect(readCollection(docOf(state), NOTES)).toEqual([{ id: 'a', x: 1 }]);
  });
});

describe('[P10] a store that was compacted while changes were pending', () => {
  test('plain fields, removals, new records and deletions are made again all the same', () => {
    const b = 'b' as RecordId;
    const { notes, unclear } = awayIn({
      first: (doc) => {
        write({ x: 1, y: 1, gone: 1 })(doc);
        write({ x: 1 }, b)(doc);
      },
      mine: [write({ x: 2 }), remove('gone'), drop(b), write({ n: [1] }, 'c' as RecordId)],
      theirs: [write({ y: 2 })],
      isMixed: true,
    });
    expect(unclear).toEqual([]);
    expect(notes).toEqual([
      { id: 'a', x: 2, y: 2 },
      { id: 'c', n: [1] },
    ]);
  });

  test('each change writes what it wrote, with its own time', () => {
    const { doc, made, next } = awayIn({
      first: write({ x: 1 }),
      mine: [write({ x: 2 }), write({ y: 1 }), write({ x: 3 })],
      isMixed: true,
    });
    const shown = made.map(({ update, madeAt }) => {
      Y.applyUpdate(next, update);
      return [madeAt, recordMap(next, NOTES, A)?.get('x')];
    });
    expect(shown).toEqual([
      [1_000, 2],
      [1_001, 2],
      [1_002, 3],
    ]);
    expect(readCollection(doc, NOTES)).toEqual([{ id: 'a', x: 3, y: 1 }]);
  });

  test('two tabs that knew nothing of each other stay two authors: the server compares their times', () => {
    const server = docOf(...madeOn(new Y.Doc(), [write({ x: 1 })]));
    const begin = Y.encodeStateAsUpdate(server);
    const [first, second] = [3, 2].map((x) => Y.mergeUpdates(madeOn(docOf(begin), [write({ x })]))) as [
      Uint8Array,
      Uint8Array,
    ];
    const rows = [
      { number: 1, update: begin, isPending: false },
      { number: 2, update: first, madeAt: 2_000, isPending: true },
      { number: 3, update: Y.encodeStateAsUpdate(docOf(begin, first, second)), isPending: false },
      { number: 4, update: second, madeAt: 1_000, isPending: true },
    ];
    const next = Y.encodeStateAsUpdate(rewritten(server, 7));
    const epoch = Epoch.after(null, retiredIn(server), { revision: 0, mark: 0 }).encode();
    const { pending } = rebase(rows, next, epoch);
    const shown = pending.map(({ madeAt, update }) => {
      const doc = docOf(next, update);
      return [madeAt, recordMap(doc, NOTES, A)?.get('x')];
    });
    expect(shown).toEqual([
      [2_000, 3],
      [1_000, 2],
    ]);
    const authors = pending.flatMap(({ update }) =>
      [...Y.decodeUpdate(update).structs].map(({ id }) => id.client),
    );
    expect(new Set(authors).size).toBe(2);
  });

  test('of a list what was done to it can not be told: it is set aside', () => {
    const { notes, unclear } = awayIn({
      first: write({ list: [1, 2], x: 1 }),
      mine: [write({ list: [2, 3], x: 2 })],
      theirs: [write({ list: [1, 2, 4] })],
      isMixed: true,
    });
    expect(notes).toEqual([{ id: 'a', list: [1, 2, 4], x: 2 }]);
    expect(unclear).toMatchObject([
      { number: 1, writes: [{ id: 'a', fields: ['list'], record: { list: [2, 3] } }] },
    ]);
  });

  test('what others deleted does not come back', () => {
    const { notes } = awayIn({
      first: write({ x: 1 }),
      mine: [write({ x: 2 })],
      theirs: [drop()],
      isMixed: true,
    });
    expect(notes).toEqual([]);
  });
});

type Step =
  | { readonly do: 'write'; readonly id: RecordId; readonly field: string; readonly value: number }
  | { readonly do: 'remove'; readonly id: RecordId; readonly field: string }
  | { readonly do: 'drop'; readonly id: RecordId };

const IDS = ['a', 'b'] as RecordId[];
const stepsOf = (fields: readonly string[]) =>
  fc.array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constant('write' as const),
          id: fc.constantFrom(...IDS),
          field: fc.constantFrom(...fields),
          value: fc.nat(9),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          do: fc.constant('remove' as const),
          id: fc.constantFrom(...IDS),
          field: fc.constantFrom(...fields),
        }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), id: fc.constantFrom(...IDS) }) },
    ),
    { maxLength: 12 },
  );

/** A list of elements, a deep object, or a plain value, by the name of the field. */
const valueFor = (field: string, value: number): unknown =>
  field.startsWith('list')
    ? Array.from({ length: value % 4 }, (_, i) => ({ id: (value + i) % 5, v: value }))
    : field.startsWith('deep')
      ? { k: value, l: [value] }
      : value;

const changeOf =
  (step: Step): Change =>
  (doc) => {
    if (step.do === 'write') write({ [step.field]: valueFor(step.field, step.value) }, step.id)(doc);
    else if (step.do === 'remove') recordMap(doc, NOTES, step.id)?.delete(step.field);
    else drop(step.id)(doc);
  };

type TextStep = readonly [at: number, length: number, letters: string];
const textSteps = fc.array(fc.tuple(fc.nat(9), fc.nat(2), fc.constantFrom('', ' ', 'a', 'b', 'ab')), {
  maxLength: 8,
});

/** In a shared text, in a list of plain values, and in a text that is a plain value. */
const typedBy =
  ([at, length, letters]: TextStep): Change =>
  (doc) => {
    const map = recordMap(doc, NOTES, A) as Y.Map<unknown>;
    const [text, tags] = [map.get('text') as Y.Text, map.get('tags') as Y.Array<unknown>];
    const from = Math.min(at, text.length);
    text.delete(from, Math.min(length, text.length - from));
    text.insert(from, letters, at % 2 === 0 ? { bold: true } : {});
    if (letters !== '') tags.insert(Math.min(at, tags.length), [letters]);
    else if (tags.length > 0) tags.delete(at % tags.length);
    map.set('plain', `${map.get('plain') ?? ''}${letters}`);
  };

describe('[P10] of random changes', () => {
  test('whatever the server has got of them already: all is as this device had it', () => {
    fc.assert(
      fc.property(textSteps, fc.nat(8), (steps, arrived) => {
        const first: Change = (doc) =>
          void doc.getMap(NOTES).set(
            A,
            new Y.Map<unknown>([
              ['text', new Y.Text('Hello.')],
              ['tags', Y.Array.from(['x', 'y'])],
            ]),
          );
        const mine = steps.map(typedBy);
        const { notes, unclear } = awayIn({ first, mine, arrived, theirs: [write({ theirs: 1 })] });
        const wanted = new Y.Doc();
        for (const change of [first, ...mine, write({ theirs: 1 })]) change(wanted);
        expect([notes, unclear]).toEqual([readCollection(wanted, NOTES), []]);
      }),
      { numRuns: 150 },
    );
  });

  const MINE = ['x', 'list1', 'deep1'];
  const THEIRS = ['y', 'list2', 'deep2'];
  const dropsNone = (steps: readonly Step[]): Step[] => steps.filter((step) => step.do !== 'drop');

  test('nobody else wrote: all is as this device had it, however much of it the server has got', () => {
    fc.assert(
      fc.property(
        stepsOf([...MINE, 'y']),
        stepsOf(MINE),
        fc.nat(12),
        fc.boolean(),
        (first, all, arrived, isMixed) => {
          // A record that is deleted and created anew is one change there, and what it had before stays in it.
          const mine = isMixed ? dropsNone(all) : all;
          const begin: Change = (doc) => {
            for (const step of first) changeOf(step)(doc);
          };
          const { doc, unclear } = awayIn({ first: begin, mine: mine.map(changeOf), arrived, isMixed });
          const wanted = new Y.Doc();
          for (const change of [begin, ...mine.map(changeOf)]) change(wanted);
          if (!isMixed || unclear.length === 0)
            expect(readCollection(doc, NOTES).sort(byId)).toEqual(readCollection(wanted, NOTES).sort(byId));
          if (!isMixed) expect(unclear).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('others wrote other fields: both sides are there', () => {
    fc.assert(
      fc.property(stepsOf(MINE), stepsOf(THEIRS), fc.boolean(), (mine, theirs, isMixed) => {
        const first: Change = (doc) => {
          for (const id of IDS) write({ x: 100, y: 100 }, id)(doc);
        };
        const [ours, others] = [dropsNone(mine).map(changeOf), dropsNone(theirs).map(changeOf)];
        const { doc, unclear } = awayIn({ first, mine: ours, theirs: others, isMixed });
        const wanted = new Y.Doc();
        for (const change of [first, ...ours, ...others]) change(wanted);
        if (unclear.length === 0)
          expect(readCollection(doc, NOTES).sort(byId)).toEqual(readCollection(wanted, NOTES).sort(byId));
        if (!isMixed) expect(unclear).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});

const byId = (a: { id: unknown }, b: { id: unknown }): number => String(a.id).localeCompare(String(b.id));
