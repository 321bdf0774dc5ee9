/** D3, D4: what two devices create apart inside of an element that was moved is united in its copy. */
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import * as Y from 'yjs';
import { Step } from '../../../../server/documents/union/step.js';
import type { Json, JsonObject } from '../../../../shared/json.js';
import { sharedValue } from '../../../../shared/records.js';
import { client, Server } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

const M1 = { id: 'm1', dose: '400' };
const M2 = { id: 'm2', dose: '5' };
/** Above those of the server, and below them. */
const [HIGH, LOW] = [4_200_000_000, 30];

const listIn = (doc: Y.Doc) =>
  (doc.getMap<Y.Map<unknown>>('prescriptions').get('p1') as Y.Map<unknown>).get('medicines') as Y.Array<
    Y.Map<unknown>
  >;
const firstIn = (doc: Y.Doc) =>
  listIn(doc)
    .toArray()
    .find((each) => each.get('id') === 'm1') as Y.Map<unknown>;

function move(doc: Y.Doc, from: number, to: number): void {
  doc.transact(() => {
    const copy = listIn(doc).get(from).clone();
    listIn(doc).delete(from, 1);
    listIn(doc).insert(to, [copy]);
  });
}

type Deed = (medicine: Y.Map<unknown>) => void;
const times =
  (value: Json): Deed =>
  (medicine) => {
    medicine.set('times', sharedValue(value));
  };
const inTimes =
  (key: string, value: Json): Deed =>
  (medicine) => {
    (medicine.get('times') as Y.Map<unknown>).set(key, sharedValue(value));
  };

class Ward {
  readonly server = new Server();
  readonly mover: Y.Doc;
  readonly editor: Y.Doc;
  readonly third: Y.Doc;
  readonly #sent = new Map<Y.Doc, Uint8Array>();

  constructor(ids: { mover?: number; editor: number; third: number }) {
    this.server.write((doc) => {
      doc.getMap('prescriptions').set('p1', sharedValue({ medicines: [M1, M2] }));
    });
    const devices = [ids.mover ?? 20, ids.editor, ids.third].map((id) => client(id)) as [Y.Doc, Y.Doc, Y.Doc];
    [this.mover, this.editor, this.third] = devices;
    for (const doc of devices) this.hear(doc);
  }

  hear(doc: Y.Doc): void {
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.server.replica.doc, Y.encodeStateVector(doc)));
    this.#sent.set(doc, Y.encodeStateVector(doc));
  }

  /** What it has done since it last heard or sent, as it sends it live. */
  send(doc: Y.Doc): void {
    this.server.receive(Y.encodeStateAsUpdate(doc, this.#sent.get(doc)));
    this.#sent.set(doc, Y.encodeStateVector(doc));
  }

  do(doc: Y.Doc, ...deeds: Deed[]): void {
    for (const deed of deeds) doc.transact(() => deed(firstIn(doc)));
  }

  move(from: number, to: number): void {
    move(this.mover, from, to);
    this.send(this.mover);
  }

  /** What everybody has in the end, on the server after a restart, too. */
  medicine(): JsonObject {
    for (const doc of [this.mover, this.editor, this.third, this.mover, this.editor]) this.server.sync(doc);
    const medicines = listIn(this.server.replica.doc).toJSON();
    expect(medicines.map(({ id }: JsonObject) => id).sort()).toEqual(['m1', 'm2']);
    for (const doc of [this.mover, this.editor, this.third]) expect(listIn(doc).toJSON()).toEqual(medicines);
    this.server.restart();
    expect(listIn(this.server.replica.doc).toJSON()).toEqual(medicines);
    return firstIn(this.server.replica.doc).toJSON();
  }
}

const CREATED: [string, { first: Json; second: Json; both: Json }][] = [
  ['objects', { first: { am: '8:00' }, second: { pm: '20:00' }, both: { am: '8:00', pm: '20:00' } }],
  ['lists', { first: ['a', 'b'], second: ['b', 'c'], both: ['a', 'b', 'c'] }],
  [
    'lists of elements',
    {
      first: [{ id: 't1', at: 8 }],
      second: [
        { id: 't1', by: 'Ann' },
        { id: 't2', at: 20 },
      ],
      both: [
        { id: 't1', at: 8, by: 'Ann' },
        { id: 't2', at: 20 },
      ],
    },
  ],
  [
    'objects in objects',
    {
      first: { plan: { am: 1 }, by: 'Ann' },
      second: { plan: { pm: 2 }, by: '' },
      both: { plan: { am: 1, pm: 2 }, by: 'Ann' },
    },
  ],
];
const sorted = (value: Json | undefined): Json | undefined =>
  Array.isArray(value) && value.every((each) => typeof each === 'string') ? [...value].sort() : value;

describe.each(CREATED)('[D3 D4] %s that are created apart', (_, { first, second, both }) => {
  const BETWEEN = ['nothing', 'a restart'] as const;
  const cases = [HIGH, LOW].flatMap((id) => BETWEEN.map((between) => [id, between] as const));

  describe.each(cases)('by %i, %s between', (third, between) => {
    const ids = { editor: 10, third };
    const pass = ({ server }: Ward) => {
      if (between === 'nothing') return;
      server.compact();
      server.restart();
    };

    test.each([true, false])(
      'in a copy that was moved as well, by somebody who knows the other one: %s',
      (knows) => {
        const ward = new Ward(ids);
        ward.move(0, 1);
        ward.hear(ward.third);
        ward.do(ward.editor, times(first));
        ward.send(ward.editor);
        if (knows) ward.hear(ward.mover);
        pass(ward);
        ward.move(1, 0);
        pass(ward);
        ward.do(ward.third, times(second));
        ward.send(ward.third);
        expect(sorted(ward.medicine().times)).toEqual(both);
      },
    );

    test('in the copy, by who moved it, and had not heard of the other one', () => {
      const ward = new Ward(ids);
      move(ward.third, 0, 1);
      ward.send(ward.third);
      pass(ward);
      ward.do(ward.editor, times(first));
      ward.send(ward.editor);
      pass(ward);
      ward.do(ward.third, times(second));
      ward.send(ward.third);
      expect(sorted(ward.medicine().times)).toEqual(both);
    });

    test('in an element that was moved', () => {
      const ward = new Ward(ids);
      ward.do(ward.editor, times(first));
      ward.do(ward.third, times(second));
      ward.move(0, 1);
      pass(ward);
      ward.send(ward.editor);
      pass(ward);
      ward.send(ward.third);
      expect(sorted(ward.medicine().times)).toEqual(both);
    });

    test('in an element, and moved before anybody has heard of them', () => {
      const ward = new Ward(ids);
      ward.do(ward.editor, times(first));
      ward.do(ward.third, times(second));
      ward.send(ward.editor);
      pass(ward);
      ward.move(0, 1);
      pass(ward);
      ward.send(ward.third);
      expect(sorted(ward.medicine().times)).toEqual(both);
    });
  });
});

describe.each([HIGH, LOW])(
  '[D3 D4] of two objects that were created apart in a moved element, by %i',
  (third) => {
    function met() {
      const ward = new Ward({ editor: 10, third });
      ward.do(ward.editor, times({ am: '8:00' }));
      ward.do(ward.third, times({ pm: '20:00' }));
      ward.move(0, 1);
      ward.send(ward.editor);
      ward.send(ward.third);
      return ward;
    }

    test('what each author writes into its own later is in the copy', () => {
      const ward = met();
      ward.do(ward.editor, inTimes('am', '9:00'), inTimes('noon', '12:00'));
      ward.send(ward.editor);
      ward.do(ward.third, inTimes('pm', '21:00'), inTimes('night', '24:00'));
      ward.send(ward.third);
      const all = { am: '9:00', noon: '12:00', pm: '21:00', night: '24:00' };
      expect(ward.medicine().times).toEqual(all);
    });

    test('what somebody wrote into the copy meanwhile stays', () => {
      const ward = met();
      ward.hear(ward.mover);
      ward.do(ward.mover, inTimes('am', '7:00'), (medicine) =>
        (medicine.get('times') as Y.Map<unknown>).delete('pm'),
      );
      ward.send(ward.mover);
      ward.do(ward.editor, inTimes('noon', '12:00'));
      ward.send(ward.editor);
      ward.do(ward.third, inTimes('night', '24:00'));
      ward.send(ward.third);
      expect(ward.medicine().times).toEqual({ am: '7:00', noon: '12:00', night: '24:00' });
    });

    test('types stay what they are', () => {
      const ward = new Ward({ editor: 10, third });
      ward.do(ward.editor, times({ am: '8:00' }));
      ward.do(ward.third, (medicine) =>
        medicine.set('times', new Y.Map([['text', new Y.Text('with food')]])),
      );
      ward.move(0, 1);
      ward.send(ward.editor);
      ward.send(ward.third);
      expect(ward.medicine().times).toEqual({ am: '8:00', text: 'with food' });
      const united = firstIn(ward.server.replica.doc).get('times') as Y.Map<unknown>;
      expect(united.get('text')).toBeInstanceOf(Y.Text);
    });
  },
);

type Act =
  | { readonly kind: 'move' | 'write' | 'send' | 'hear'; readonly device: number }
  | { readonly kind: 'restart' | 'compaction' };

const device = fc.nat(2);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constantFrom('move', 'write', 'send', 'hear'), device }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('restart', 'compaction') }) },
);

/** Each write is a field of its own in one object, which its author makes where it sees none. */
function live(ward: Ward, acts: readonly Act[], devices: readonly Y.Doc[]): JsonObject {
  const written: Record<string, number> = {};
  for (const [n, each] of acts.entries()) {
    if (each.kind === 'compaction') ward.server.compact();
    if (!('device' in each)) {
      ward.server.restart();
      continue;
    }
    const doc = devices[each.device] as Y.Doc;
    if (each.kind === 'send') ward.send(doc);
    if (each.kind === 'move') {
      const from = listIn(doc)
        .toJSON()
        .findIndex(({ id }: JsonObject) => id === 'm1');
      if (from >= 0) move(doc, from, 1 - from);
    }
    if (each.kind === 'hear') {
      // What it did has reached the server before it hears of others.
      ward.send(doc);
      ward.hear(doc);
    }
    if (each.kind !== 'write') continue;
    written[`of ${n}`] = n;
    const isThere = firstIn(doc).has('times');
    ward.do(doc, isThere ? inTimes(`of ${n}`, n) : times({ [`of ${n}`]: n }));
  }
  for (const doc of devices) ward.send(doc);
  return written;
}

test('[D3 D4] nothing that anybody creates apart in an element that is moved is lost', () => {
  const ids = fc.uniqueArray(fc.constantFrom(10, 20, 30, HIGH, HIGH + 1), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(ids, fc.array(act, { maxLength: 14 }), ([mover = 0, editor = 0, third = 0], acts) => {
      const ward = new Ward({ mover, editor, third });
      const written = live(ward, acts, [ward.mover, ward.editor, ward.third]);
      expect(ward.medicine().times ?? {}).toEqual(written);
    }),
    { numRuns: runs(100) },
  );
});

test('[S4] what comes in is gone through as often, of however many moved elements it is', () => {
  const passes = vi.spyOn(Step.prototype, 'newItems');
  onTestFinished(() => passes.mockRestore());
  const passesFor = (count: number): number => {
    const server = new Server();
    const medicines = Array.from({ length: count }, (_, n) => ({ id: `m${n}` }));
    server.write((doc) => doc.getMap('prescriptions').set('p1', sharedValue({ medicines })));
    const [mover, editor] = [client(20), client(30)];
    for (const doc of [mover, editor]) Y.applyUpdate(doc, Y.encodeStateAsUpdate(server.replica.doc));
    mover.transact(() => {
      const copies = listIn(mover).map((each) => each.clone());
      listIn(mover).delete(0, count);
      listIn(mover).insert(0, copies.reverse());
    });
    server.receive(Y.encodeStateAsUpdate(mover, Y.encodeStateVector(server.replica.doc)));
    editor.transact(() => {
      for (const each of listIn(editor)) each.set('times', sharedValue({ am: '8:00' }));
    });
    passes.mockClear();
    server.receive(Y.encodeStateAsUpdate(editor, Y.encodeStateVector(server.replica.doc)));
    const all = listIn(server.replica.doc).toJSON() as JsonObject[];
    expect(all.map(({ times }) => times)).toEqual(medicines.map(() => ({ am: '8:00' })));
    return passes.mock.calls.length;
  };
  expect(passesFor(50)).toBe(passesFor(1));
});
