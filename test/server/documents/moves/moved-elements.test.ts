/** D3: an element that is moved stays the same element, in whichever order the move and the edits of others come. */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Json, JsonObject } from '../../../../shared/json.js';
import { assignRecord, sharedValue } from '../../../../shared/records.js';
import { client, Server } from '../../../support/replicas.js';

const M1 = { id: 'm1', dose: '400' };
const M2 = { id: 'm2', dose: '5' };
const M3 = { id: 'm3', dose: '7' };

type Change = (list: Y.Array<unknown>, record: Y.Map<unknown>) => void;

const recordIn = (doc: Y.Doc) => doc.getMap<Y.Map<unknown>>('prescriptions').get('p1') as Y.Map<unknown>;
const listIn = (doc: Y.Doc) => recordIn(doc).get('medicines') as Y.Array<unknown>;
const elementIn = (list: Y.Array<unknown>, id: string | number) =>
  list.toArray().find((each) => each instanceof Y.Map && each.get('id') === id) as Y.Map<unknown>;

/** A device with its updates, one for each of its transactions, as our client sends them. */
class Device {
  readonly doc: Y.Doc;
  readonly updates: Uint8Array[] = [];

  constructor(clientId: number) {
    this.doc = client(clientId);
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin === 'app' || origin instanceof Y.UndoManager) this.updates.push(update);
    });
  }

  change(change: Change): this {
    this.doc.transact(() => change(listIn(this.doc), recordIn(this.doc)), 'app');
    return this;
  }

  hear(server: Server): this {
    const news = Y.encodeStateAsUpdate(server.replica.doc, Y.encodeStateVector(this.doc));
    Y.applyUpdate(this.doc, news, 'server');
    return this;
  }

  send(server: Server): this {
    for (const update of this.updates.splice(0)) server.receive(update);
    return this;
  }
}

/** A server with one record, and devices that have it. */
function ward(medicines: Json[], clients = [20, 10, 30]) {
  const server = new Server();
  server.write((doc) => {
    doc.getMap('prescriptions').set('p1', sharedValue({ medicines }));
  });
  const devices = clients.map((id) => new Device(id).hear(server));
  return { server, devices: devices as [Device, Device, Device] };
}

const medicinesOf = (doc: Y.Doc) => listIn(doc).toJSON() as JsonObject[];

function expectMedicines(server: Server, devices: readonly Device[], medicines: Json[]): void {
  for (const device of devices) server.sync(device.doc);
  for (const { doc } of [...devices, server.replica]) expect(medicinesOf(doc)).toEqual(medicines);
  server.restart();
  for (const { doc } of devices) server.sync(doc);
  expect(medicinesOf(server.replica.doc)).toEqual(medicines);
}

/** As an app does it that knows nothing of us: what is deleted, and a copy. */
const move =
  (from: number, to: number): Change =>
  (list) => {
    const copy = (list.get(from) as { clone?: () => unknown }).clone?.() ?? list.get(from);
    list.delete(from, 1);
    list.insert(to, [copy]);
  };
const set =
  (id: string | number, key: string, value: Json): Change =>
  (list) =>
    elementIn(list, id).set(key, sharedValue(value));

type Between = 'nothing' | 'a restart' | 'a compaction';
function pass(server: Server, between: Between): void {
  if (between === 'a compaction') server.compact();
  if (between !== 'nothing') server.restart();
}

const orders = (['move', 'edit'] as const).flatMap((first) =>
  (['nothing', 'a restart', 'a compaction'] as const).map((between) => [first, between] as const),
);

describe.each(orders)('the %s first, %s between', (first, between) => {
  /** One device moves, the other one edits, neither knowing of the other. */
  function meet(medicines: Json[], moving: Change, editing: Change, how: 'live' | 'handshake' = 'live') {
    const { server, devices } = ward(medicines);
    const [mover, editor] = devices;
    mover.change(moving);
    editor.change(editing);
    const inOrder = first === 'move' ? [mover, editor] : [editor, mover];
    for (const device of inOrder) {
      if (how === 'live') device.send(server);
      else server.sync(device.doc);
      pass(server, between);
    }
    return { server, devices };
  }

  test.each(['live', 'handshake'] as const)(
    '[D3] a field that another device sets survives the move, %s',
    (how) => {
      const { server, devices } = meet([M1, M2], move(0, 1), set('m1', 'dose', '600'), how);
      expectMedicines(server, devices, [M2, { ...M1, dose: '600' }]);
    },
  );

  test('[D3] a field that nobody had set before survives the move', () => {
    const { server, devices } = meet([M1, M2], move(0, 1), set('m1', 'note', { by: 'Dr. Roth' }));
    expectMedicines(server, devices, [M2, { ...M1, note: { by: 'Dr. Roth' } }]);
  });

  test('[D3] a field that another device removes is not brought back by the copy', () => {
    const { server, devices } = meet([{ ...M1, note: 'x' }, M2], move(0, 1), (list) =>
      elementIn(list, 'm1').delete('note'),
    );
    expectMedicines(server, devices, [M2, M1]);
  });

  test('[D3] what the mover changed in the copy stays beside what the other device changed', () => {
    const moving: Change = (list) => {
      list.delete(0, 1);
      list.insert(1, [sharedValue({ ...M1, unit: 'mg' })]);
    };
    const { server, devices } = meet([M1, M2], moving, set('m1', 'dose', '600'));
    expectMedicines(server, devices, [M2, { ...M1, unit: 'mg', dose: '600' }]);
  });

  test('[D3] an edit of an object, a list and its elements inside the element survives', () => {
    const deep = {
      ...M1,
      plan: { am: 1, pm: 2 },
      tags: ['a', 'b'],
      steps: [
        { id: 's1', n: 1 },
        { id: 's2', n: 2 },
      ],
    };
    const { server, devices } = meet([deep, M2], move(0, 1), (list) => {
      const element = elementIn(list, 'm1');
      (element.get('plan') as Y.Map<unknown>).set('pm', 3);
      (element.get('tags') as Y.Array<unknown>).insert(1, ['x']);
      (element.get('tags') as Y.Array<unknown>).delete(0, 1);
      const steps = element.get('steps') as Y.Array<unknown>;
      elementIn(steps, 's1').set('n', 9);
      steps.delete(1, 1);
      steps.push([sharedValue({ id: 's3', n: 3 })]);
    });
    const edited = {
      ...deep,
      plan: { am: 1, pm: 3 },
      tags: ['x', 'b'],
      steps: [
        { id: 's1', n: 9 },
        { id: 's3', n: 3 },
      ],
    };
    expectMedicines(server, devices, [M2, edited]);
  });

  test('[D2 D3] what is typed into a text of the element survives, and so does what is deleted from it', () => {
    const { server, devices } = ward([M1, M2]);
    server.write((doc) => elementIn(listIn(doc), 'm1').set('note', new Y.Text('take it twice a day')));
    const [mover, editor] = devices;
    for (const device of devices) device.hear(server);
    mover.change(move(0, 1));
    editor.change((list) => (elementIn(list, 'm1').get('note') as Y.Text).delete(5, 3));
    for (const letter of 'often'.split('').reverse()) {
      editor.change((list) => (elementIn(list, 'm1').get('note') as Y.Text).insert(5, letter));
    }
    for (const device of first === 'move' ? [mover, editor] : [editor, mover]) {
      device.send(server);
      pass(server, between);
    }
    expectMedicines(server, devices, [M2, { ...M1, note: 'take oftentwice a day' }]);
    expect(elementIn(listIn(server.replica.doc), 'm1').get('note')).toBeInstanceOf(Y.Text);
  });

  test('[D3 D6] numeric ids, and a copy that has its id as text', () => {
    const moving: Change = (list) => {
      list.delete(0, 1);
      list.insert(1, [sharedValue({ id: '1', dose: '400' })]);
    };
    const { server, devices } = meet([{ id: 1, dose: '400' }, M2], moving, set(1, 'dose', '600'));
    expectMedicines(server, devices, [M2, { id: '1', dose: '600' }]);
  });

  test('[D2 D3] an element that was stored as one value: both changes, once', () => {
    const { server, devices } = ward([]);
    server.write((doc) => listIn(doc).push([M1, M2]));
    const [mover, editor] = devices;
    for (const device of devices) device.hear(server);
    mover.change(move(0, 1));
    editor.change((list) => {
      list.delete(0, 1);
      list.insert(0, [{ ...M1, dose: '600' }]);
    });
    for (const device of first === 'move' ? [mover, editor] : [editor, mover]) {
      device.send(server);
      pass(server, between);
    }
    expectMedicines(server, devices, [M2, { ...M1, dose: '600' }]);
  });

  test('[D3] a JSON device moves the element, and a native one has edited it', () => {
    const { server, devices } = ward([M1, M2]);
    const [, editor] = devices;
    editor.change(set('m1', 'dose', '600'));
    const write = () =>
      server.write((doc) => {
        const [one, two] = medicinesOf(doc);
        assignRecord(recordIn(doc), { medicines: [two, one] as Json });
      });
    if (first === 'move') write();
    pass(server, between);
    editor.send(server);
    if (first === 'edit') write();
    expectMedicines(server, devices, [M2, { ...M1, dose: '600' }]);
  });

  test('[D3] both of two edits survive, one of which overwrites the other', () => {
    const { server, devices } = ward([M1, M2, M3]);
    const [mover, editor, third] = devices;
    mover.change(move(0, 2));
    editor.change(set('m1', 'dose', '500')).change(set('m1', 'dose', '600'));
    third.change(set('m1', 'unit', 'mg'));
    for (const device of first === 'move' ? [mover, editor, third] : [editor, third, mover]) {
      device.send(server);
      pass(server, between);
    }
    expectMedicines(server, devices, [M2, M3, { ...M1, dose: '600', unit: 'mg' }]);
  });

  test('[D3] an element that is moved twice, by two devices one after the other', () => {
    const { server, devices } = ward([M1, M2, M3]);
    const [mover, editor, third] = devices;
    editor.change(set('m1', 'dose', '600'));
    if (first === 'edit') editor.send(server);
    mover.change(move(0, 1)).send(server);
    pass(server, between);
    third.hear(server).change(move(1, 2)).send(server);
    pass(server, between);
    editor.send(server);
    expectMedicines(server, devices, [M2, M3, { ...M1, dose: '600' }]);
  });
});

describe('two devices move one element apart', () => {
  test.each([
    ['the first', 0],
    ['the second', 1],
  ] as const)(
    '[D3] one id is one element, and what only one of them changed stays; %s comes first',
    (_, first) => {
      const medicines = [M1, M2, M3];
      const { server, devices } = ward(medicines);
      const [a, b, editor] = devices;
      a.change((list) => {
        list.delete(0, 1);
        list.insert(1, [sharedValue({ ...M1, unit: 'mg' })]);
      });
      b.change((list) => {
        list.delete(0, 1);
        list.insert(2, [sharedValue({ ...M1, name: 'Ibuprofen' })]);
      });
      editor.change(set('m1', 'dose', '600'));
      for (const device of first === 0 ? [a, editor, b] : [editor, b, a]) device.send(server);
      const edited = { ...M1, dose: '600', unit: 'mg', name: 'Ibuprofen' };
      const list = medicinesOf(server.replica.doc);
      expect(list.filter(({ id }) => id === 'm1')).toEqual([edited]);
      expectMedicines(server, devices, list);
    },
  );

  test('[D3] an edit of the copy that had to give way', () => {
    const { server, devices } = ward([M1, M2, M3]);
    const [a, b] = devices;
    a.change(move(0, 1));
    b.change(move(0, 2)).change(set('m1', 'dose', '600'));
    a.send(server);
    const [moving, editing] = b.updates.splice(0) as [Uint8Array, Uint8Array];
    server.receive(moving);
    server.restart();
    server.receive(editing);
    b.change(set('m1', 'unit', 'mg')).send(server);
    expectMedicines(server, devices, [M2, { ...M1, dose: '600', unit: 'mg' }, M3]);
  });

  test('[D3] an edit of a list that both sort, which the second had seen, and the third had not', () => {
    const { server, devices } = ward([M1, M2]);
    const [a, b, editor] = devices;
    editor.change(set('m1', 'dose', '600')).send(server);
    a.change(move(0, 1)).send(server);
    b.change(move(1, 0)).send(server);
    const list = medicinesOf(server.replica.doc);
    expect(list.find(({ id }) => id === 'm1')).toEqual({ ...M1, dose: '600' });
    expect(list).toHaveLength(2);
    expectMedicines(server, devices, list);
  });

  // Yjs joins values of one author that lost their place: what the second mover had seen is then a part of an item.
  describe.each(['nothing', 'a restart', 'a compaction'] as const)('%s between', (between) => {
    const am =
      (time: string): Change =>
      (list) =>
        (elementIn(list, 'm1').get('times') as Y.Map<unknown>).set('am', time);
    test.each<[string, Change[], Change[], object]>([
      ['once', [set('m1', 'dose', '500')], [set('m1', 'dose', '600')], { dose: '600' }],
      [
        'twice',
        [set('m1', 'dose', '500')],
        [set('m1', 'dose', '600'), set('m1', 'dose', '700')],
        { dose: '700' },
      ],
      [
        'before, too',
        [set('m1', 'dose', '500'), set('m1', 'dose', '550')],
        [set('m1', 'dose', '600')],
        { dose: '600' },
      ],
      [
        'and removed',
        [set('m1', 'note', 'a')],
        [set('m1', 'note', 'b'), (list) => elementIn(list, 'm1').delete('note')],
        {},
      ],
      ['inside an object', [am('8:00')], [am('9:00')], { times: { am: '9:00' } }],
    ])(
      '[D3] a field that was written %s after the first move, which the second had not seen',
      (_, seen, late, is) => {
        const medicine = { ...M1, times: { am: '7:00' } };
        const { server, devices } = ward([medicine, M2]);
        const [a, b, editor] = devices;
        for (const edit of seen) editor.change(edit).send(server);
        b.hear(server);
        a.hear(server).change(move(0, 1)).send(server);
        pass(server, between);
        for (const edit of late) {
          editor.change(edit).send(server);
          pass(server, between);
        }
        b.change(move(0, 1)).send(server);
        expectMedicines(server, devices, [M2, { ...medicine, ...is }]);
      },
    );
  });
});

/** The server has written into a copy, under a client id above those of the devices; then that is moved, too. */
describe.each(['nothing', 'a restart', 'a compaction'] as const)('moved once more, %s between', (between) => {
  test.each<[string, Change[], Change[], object]>([
    ['its author', [set('m1', 'dose', '600')], [set('m1', 'dose', '700')], { dose: '700' }],
    ['its author, a new field', [set('m1', 'note', 'a')], [set('m1', 'note', 'b')], { note: 'b' }],
    [
      'its author, twice',
      [set('m1', 'note', 'a')],
      [set('m1', 'note', 'b'), set('m1', 'note', 'c')],
      { note: 'c' },
    ],
  ])('[D3] an edit that was carried is edited by %s, not knowing of that', (_, early, late, is) => {
    const { server, devices } = ward([M1, M2]);
    const [mover, editor] = devices;
    for (const edit of early) editor.change(edit);
    mover.change(move(0, 1)).send(server);
    editor.hear(server);
    editor.send(server);
    mover.change(move(1, 0)).send(server);
    pass(server, between);
    for (const edit of late) {
      editor.change(edit).send(server);
      pass(server, between);
    }
    expectMedicines(server, devices, [{ ...M1, ...is }, M2]);
  });
});

describe('an app that moves in two steps', () => {
  test.each([
    ['what is above it', 0, 2],
    ['what is below it', 2, 0],
  ])('[D3] insertion, then deletion, past %s: the element is not lost', (_, from, to) => {
    const { server, devices } = ward([M1, M2, M3]);
    const [mover, editor] = devices;
    server.write((doc) => listIn(doc).push([sharedValue({ id: 'm4' })]));
    for (const device of devices) device.hear(server);
    const { id } = medicinesOf(mover.doc)[from] as { id: string };
    mover.change((list) =>
      list.insert(to < from ? to : to + 2, [(list.get(from) as Y.Map<unknown>).clone()]),
    );
    mover.change((list) => list.delete(to < from ? from + 1 : from, 1));
    editor.change(set(id, 'dose', '600'));
    mover.send(server);
    editor.send(server);
    const list = medicinesOf(server.replica.doc);
    expect(list).toHaveLength(4);
    expect(list.find((each) => each.id === id)).toEqual({ id, dose: '600' });
    expectMedicines(server, devices, list);
  });

  test.each(['before', 'between', 'after'])('[D3] deletion, then insertion, an edit coming %s', (when) => {
    const { server, devices } = ward([M1, M2]);
    const [mover, editor] = devices;
    const copy = sharedValue(M1);
    mover.change((list) => list.delete(0, 1)).change((list) => list.push([copy]));
    editor.change(set('m1', 'dose', '600'));
    const [deletion, insertion] = mover.updates.splice(0) as [Uint8Array, Uint8Array];
    if (when === 'before') editor.send(server);
    server.receive(deletion);
    if (when === 'between') editor.send(server);
    server.receive(insertion);
    server.restart();
    if (when === 'after') editor.send(server);
    expectMedicines(server, devices, [M2, { ...M1, dose: '600' }]);
  });
});

describe('undo', () => {
  test.each(['before', 'after'])('[D3] of a move keeps what others edited %s it', (when) => {
    const { server, devices } = ward([M1, M2, M3]);
    const [mover, editor] = devices;
    const undo = new Y.UndoManager(listIn(mover.doc), { trackedOrigins: new Set(['app']) });
    mover.change(move(0, 1)).send(server);
    editor.change(set('m1', 'dose', '600'));
    if (when === 'before') {
      editor.send(server);
      mover.hear(server);
    }
    undo.undo();
    mover.send(server);
    if (when === 'after') editor.send(server);
    expectMedicines(server, devices, [{ ...M1, dose: '600' }, M2, M3]);
    undo.redo();
    mover.send(server);
    expectMedicines(server, devices, [M2, { ...M1, dose: '600' }, M3]);
  });

  test('[D3] of a move and an own edit takes back both', () => {
    const { server, devices } = ward([M1, M2, M3]);
    const [mover] = devices;
    const undo = new Y.UndoManager(listIn(mover.doc), { trackedOrigins: new Set(['app']) });
    mover
      .change(move(0, 1))
      .change(set('m1', 'dose', '700'))
      .send(server);
    undo.undo();
    mover.send(server);
    expectMedicines(server, devices, [M1, M2, M3]);
  });

  test('[D3] of a removal brings the element back with what others edited meanwhile', () => {
    const { server, devices } = ward([M1, M2]);
    const [mover, editor] = devices;
    const undo = new Y.UndoManager(listIn(mover.doc), { trackedOrigins: new Set(['app']) });
    mover.change((list) => list.delete(0, 1)).send(server);
    editor.change(set('m1', 'dose', '600')).send(server);
    undo.undo();
    mover.send(server);
    expectMedicines(server, devices, [{ ...M1, dose: '600' }, M2]);
  });
});

test('[D3] what is removed for good stays removed, whoever edits it', () => {
  const { server, devices } = ward([M1, M2]);
  const [a, b] = devices;
  a.change(move(0, 1)).send(server);
  a.change((list) => list.delete(1, 1)).send(server);
  b.change(set('m1', 'dose', '600')).send(server);
  expectMedicines(server, devices, [M2]);
});

test('[D3] an edit of a moved element is carried once: what is written later stays', () => {
  const { server, devices } = ward([M1, M2]);
  const [mover, editor, third] = devices;
  mover.change(move(0, 1)).send(server);
  editor.change(set('m1', 'dose', '600')).send(server);
  third
    .hear(server)
    .change(set('m1', 'dose', '800'))
    .send(server);
  editor.change(set('m1', 'unit', 'mg')).send(server);
  server.sync(editor.doc);
  expectMedicines(server, devices, [M2, { ...M1, dose: '800', unit: 'mg' }]);
});

describe.each([
  ['a field', { id: 'm1', at: '0' }, [], 'at'],
  ['a field of an object', { id: 'm1', dose: { am: '0', pm: '7' } }, ['dose'], 'am'],
  ['a deep field', { id: 'm1', dose: { plan: { am: '0', id: 'x' } } }, ['dose', 'plan'], 'am'],
] as const)('[D3] %s that was carried into a copy that was moved as well', (_, medicine, path, key) => {
  const write =
    (value: string): Change =>
    (list) => {
      let map = elementIn(list, 'm1');
      for (const step of path) map = map.get(step) as Y.Map<unknown>;
      map.set(key, value);
    };
  const changed = (value: string) => {
    const json = structuredClone(medicine) as JsonObject;
    let at = json as Record<string, Json>;
    for (const step of path) at = at[step] as Record<string, Json>;
    at[key] = value;
    return json;
  };

  test.each([20, 5].flatMap((mover) => ['the move', 'the edit'].map((first) => [mover, first] as const)))(
    'is what its author writes next, not knowing of it: mover %i, %s first',
    (moverId, first) => {
      const { server, devices } = ward([medicine, M2], [moverId, 10, 30]);
      const [mover, editor] = devices;
      editor.change(write('1'));
      mover.change(move(0, 1)).send(server).change(move(1, 0));
      // Of the first move alone: what is carried into its copy comes later.
      editor.hear(server).send(server).change(write('2'));
      for (const device of first === 'the move' ? [mover, editor] : [editor, mover]) device.send(server);
      expectMedicines(server, devices, [changed('2'), M2]);
    },
  );

  test('and by somebody else, who has it, is what they wrote', () => {
    const { server, devices } = ward([medicine, M2]);
    const [mover, editor, third] = devices;
    editor.change(write('1'));
    mover.change(move(0, 1)).send(server);
    editor.send(server);
    third.hear(server).change(write('3'));
    mover.change(move(1, 0)).send(server);
    third.send(server);
    expectMedicines(server, devices, [changed('3'), M2]);
  });
});

test('[D3] who passes on an edit of a moved element that it heard of removes nothing', () => {
  const { server, devices } = ward([M1, M2]);
  const [mover, editor, relay] = devices;
  const passedOn: Uint8Array[] = [];
  mover.change(move(0, 1)).send(server);
  relay.hear(server);
  relay.doc.on('update', (update: Uint8Array) => passedOn.push(update));
  editor.change(set('m1', 'dose', '600')).send(server);
  relay.hear(server);
  for (const update of passedOn) server.receive(update);
  expectMedicines(server, devices, [M2, { ...M1, dose: '600' }]);
});

test('[D3] a removed field of a moved element that somebody wrote anew stays', () => {
  const { server, devices } = ward([{ ...M1, note: 'x' }, M2]);
  const [mover, editor, third] = devices;
  mover.change(move(0, 1)).send(server);
  third
    .hear(server)
    .change(set('m1', 'note', 'y'))
    .send(server);
  editor.change((list) => elementIn(list, 'm1').delete('note')).send(server);
  expectMedicines(server, devices, [M2, { ...M1, note: 'y' }]);
});

test('[D3 D4] a list whose record loses against another has each element once, as it was last', () => {
  const { server, devices } = ward([M1, M2]);
  const [mover, editor, other] = devices;
  mover.change(move(0, 1)).send(server);
  editor.change(set('m1', 'dose', '600')).send(server);
  const apart = client(4_000_000_000);
  apart.getMap('prescriptions').set('p1', sharedValue({ status: 'new' }));
  server.sync(apart);
  server.sync(other.doc);
  expect(recordIn(server.replica.doc).toJSON()).toEqual({
    status: 'new',
    medicines: [M2, { ...M1, dose: '600' }],
  });
});

test('[D2] a rich text inside a moved element keeps its type, and what was written into it', () => {
  const { server, devices } = ward([M1, M2]);
  const [mover, editor] = devices;
  server.write((doc) => {
    const page = new Y.XmlFragment();
    page.insert(0, [new Y.XmlText('Take it.')]);
    elementIn(listIn(doc), 'm1').set('page', page);
  });
  for (const device of devices) device.hear(server);
  mover.change(move(0, 1)).send(server);
  editor
    .change((list) => (elementIn(list, 'm1').get('page') as Y.XmlFragment).push([new Y.XmlText('Twice.')]))
    .send(server);
  const page = elementIn(listIn(server.replica.doc), 'm1').get('page') as Y.XmlFragment;
  expect(page).toBeInstanceOf(Y.XmlFragment);
  expect(page.toString()).toBe('Take it.Twice.');
});

describe('what is kept', () => {
  const long = (count: number) => Array.from({ length: count }, (_, n) => ({ id: `m${n}`, dose: `${n}` }));
  const reverse: Change = (list) => {
    const copies = list.toArray().map((each) => (each as Y.Map<unknown>).clone());
    list.delete(0, list.length);
    list.insert(0, copies.reverse());
  };

  test('[D3] is bounded, however often a list is sorted anew', () => {
    const { server, devices } = ward(long(600));
    const [mover] = devices;
    const sizes = Array.from({ length: 20 }, () => {
      mover.change(reverse).send(server);
      return Y.encodeStateAsUpdate(server.replica.doc).length + server.replica.memory().length;
    });
    const most = Math.max(...sizes.slice(0, 10));
    expect(sizes.at(-1)).toBeLessThan(most * 1.5);
    expect(server.replica.memory().length).toBeLessThan(20_000);
    server.restart();
    expect(Y.encodeStateAsUpdate(server.replica.doc).length).toBeLessThan(most * 1.5);
  });

  test('[D3] is let go with the history', () => {
    let now = 1_000;
    const server = new Server({ now: () => now });
    server.write((doc) => {
      doc.getMap('prescriptions').set('p1', sharedValue({ medicines: [M1, M2] }));
    });
    const [mover, editor] = [new Device(10).hear(server), new Device(20).hear(server)];
    mover.change(move(0, 1)).send(server);
    editor.change(set('m1', 'dose', '600'));
    const before = server.replica.memory().length;
    now += 91 * 86_400_000;
    server.restart();
    expect(server.replica.memory().length).toBeLessThan(before);
    editor.send(server);
    expectMedicines(server, [mover, editor], [M2, M1]);
  });
});
