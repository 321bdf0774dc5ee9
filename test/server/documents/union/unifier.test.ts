import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { Replica } from '../../../../server/documents/replica.js';
import type { Json } from '../../../../shared/json.js';
import { sharedValue } from '../../../../shared/records.js';
import { admitted, client, jsonOfDoc, options, Server } from '../../../support/replicas.js';

type Edit = (records: Y.Map<unknown>) => void;

function edit(doc: Y.Doc, change: Edit): void {
  doc.transact(() => change(doc.getMap('appointments')));
}

const create =
  (id: string, json: Json): Edit =>
  (records) =>
    records.set(id, sharedValue(json));

const record = (records: Y.Map<unknown>, id = 'x') => records.get(id) as Y.Map<unknown>;

/** Runs with A's client id below and above B's, so that each of the two wins once. */
const whoever = describe.each([
  ['the first wins', 2, 1],
  ['the second wins', 1, 2],
  ['random ids', 2_907_334_812, 881_120_042],
]);

function expectAll(server: Server, docs: Y.Doc[], expected: Json): void {
  for (const doc of docs) server.sync(doc);
  for (const doc of docs) server.sync(doc);
  expect(server.json()).toEqual({ appointments: expected });
  for (const doc of docs) expect(jsonOfDoc(doc)).toEqual({ appointments: expected });
  server.restart();
  expect(server.json()).toEqual({ appointments: expected });
  server.compact();
  server.restart();
  expect(server.json()).toEqual({ appointments: expected });
}

whoever('records created apart: %s', (_, idA, idB) => {
  test('[D4] both sets of fields survive', () => {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { status: 'booked' }));
    edit(b, create('x', { room: 4 }));
    server.sync(a);
    server.sync(b);
    expectAll(server, [a, b], { x: { status: 'booked', room: 4 } });
  });

  test('[D4] a field that both have takes one value, the same in both orders of arrival', () => {
    const outcomes = [
      [0, 1],
      [1, 0],
    ].map((order) => {
      const server = new Server();
      const docs = [client(idA), client(idB)] as const;
      edit(docs[0], create('x', { status: 'booked', a: 1 }));
      edit(docs[1], create('x', { status: 'cancelled', b: 2 }));
      for (const index of order) server.sync(docs[index] as Y.Doc);
      return server.json();
    });
    expect(outcomes[0]).toEqual(outcomes[1]);
    expect(outcomes[0]).toMatchObject({ appointments: { x: { a: 1, b: 2 } } });
  });

  test('[D4] nested objects and arrays are united', () => {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { dose: { am: 1, deep: { a: 1 } }, items: [{ id: 'm1', mg: 5 }], tags: ['t', 'a'] }));
    edit(
      b,
      create('x', {
        dose: { pm: 2, deep: { b: 2 } },
        items: [{ id: 'm1', unit: 'ml' }, { id: 'm2' }],
        tags: ['t', 'b'],
      }),
    );
    server.sync(a);
    server.sync(b);
    for (const doc of [a, b]) server.sync(doc);
    const { x } = (server.json() as { appointments: { x: Record<string, Json> } }).appointments;
    expect(x.dose).toEqual({ am: 1, pm: 2, deep: { a: 1, b: 2 } });
    expect((x.tags as string[]).toSorted()).toEqual(['a', 'b', 't']);
    const items = x.items as { id: string }[];
    expect(items).toHaveLength(2);
    expect(items.find(({ id }) => id === 'm1')).toEqual({ id: 'm1', mg: 5, unit: 'ml' });
    expectAll(server, [a, b], { x: x as Json });
  });

  test('[D4] a nested object and an array that two devices create apart in one record', () => {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { status: 'booked' }));
    for (const doc of [a, b, a]) server.sync(doc);
    edit(a, (records) => record(records).set('dose', sharedValue({ am: 1 })));
    edit(b, (records) => record(records).set('dose', sharedValue({ pm: 2 })));
    edit(a, (records) => record(records).set('tags', sharedValue(['a'])));
    edit(b, (records) => record(records).set('tags', sharedValue(['b'])));
    server.sync(a);
    server.sync(b);
    const tags = idA > idB ? ['a', 'b'] : ['b', 'a'];
    expectAll(server, [a, b], { x: { status: 'booked', dose: { am: 1, pm: 2 }, tags } });
  });

  for (const restart of [false, true]) {
    const when = restart ? 'after a restart' : 'live';
    test(`[D4] late edits of the map that lost end up in the record, ${when}`, () => {
      const [server, a, b] = [new Server(), client(idA), client(idB)];
      edit(a, create('x', { status: 'booked', notes: { own: 1 }, list: ['a'] }));
      edit(b, create('x', { room: 4 }));
      const answers = [a, b].map((doc) => Y.encodeStateAsUpdate(doc));
      for (const update of answers) server.receive(update);
      if (restart) server.restart();
      const before = Y.encodeStateVector(a);
      edit(a, (records) => {
        record(records).set('status', 'moved');
        record(records).set('added', true);
        (record(records).get('notes') as Y.Map<unknown>).set('late', 2);
        (record(records).get('list') as Y.Array<unknown>).push(['late']);
      });
      server.receive(Y.encodeStateAsUpdate(a, before));
      const beforeB = Y.encodeStateVector(b);
      edit(b, (records) => record(records).set('late', 'b'));
      server.receive(Y.encodeStateAsUpdate(b, beforeB));
      expectAll(server, [a, b], {
        x: {
          status: 'moved',
          notes: { own: 1, late: 2 },
          list: ['a', 'late'],
          room: 4,
          added: true,
          late: 'b',
        },
      });
    });
  }

  test('[D4] a late overwrite wins over a value of the creation, in both orders', () => {
    const outcomes = [
      [0, 1, 2],
      [0, 2, 1],
      [2, 0, 1],
    ]
      .map((order) => {
        const [server, a, b] = [new Server(), client(idA), client(idB)];
        edit(a, create('x', { dose: 1 }));
        const first = Y.encodeStateAsUpdate(a);
        const before = Y.encodeStateVector(a);
        edit(a, (records) => record(records).set('dose', 3));
        const second = Y.encodeStateAsUpdate(a, before);
        edit(b, create('x', { dose: 2 }));
        const arrivals = [first, second, Y.encodeStateAsUpdate(b)];
        for (const index of order) server.receive(arrivals[index] as Uint8Array);
        return server.json();
      })
      .slice(0, 2);
    for (const outcome of outcomes) expect(outcome).toEqual({ appointments: { x: { dose: 3 } } });
  });

  test('[D4] a removed field is not brought back by a later union', () => {
    const [server, a, b, c] = [new Server(), client(idA), client(idB), client(3)];
    edit(a, create('x', { status: 'booked', secret: 1 }));
    edit(b, create('x', { room: 4, secret: 2 }));
    server.receive(Y.encodeStateAsUpdate(a));
    server.receive(Y.encodeStateAsUpdate(b));
    server.sync(c);
    edit(c, (records) => record(records).delete('secret'));
    server.sync(c);
    const before = Y.encodeStateVector(a);
    edit(a, (records) => record(records).set('late', 1));
    server.receive(Y.encodeStateAsUpdate(a, before));
    expectAll(server, [a, b, c], { x: { status: 'booked', room: 4, late: 1 } });
  });

  test('[D4] a map set by someone who had seen the old one replaces it', () => {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { status: 'booked' }));
    for (const doc of [a, b]) server.sync(doc);
    edit(b, create('x', { room: 4 }));
    expectAll(server, [b, a], { x: { room: 4 } });
  });

  test('[D4] a map set by someone who had seen the union replaces all of it', () => {
    const [server, a, b, c] = [new Server(), client(idA), client(idB), client(3)];
    edit(a, create('x', { status: 'booked' }));
    edit(b, create('x', { room: 4 }));
    for (const doc of [a, b, c]) server.sync(doc);
    const before = Y.encodeStateVector(c);
    edit(c, create('x', { fresh: true }));
    server.receive(Y.encodeStateAsUpdate(c, before));
    expectAll(server, [a, b, c], { x: { fresh: true } });
  });

  test('[D4] a map replaced without knowing the other is united all the same', () => {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { status: 'booked' }));
    edit(b, create('x', { room: 4 }));
    server.sync(a);
    server.receive(Y.encodeStateAsUpdate(b), new Map());
    const saw = Y.decodeStateVector(Y.encodeStateVector(b));
    edit(b, create('x', { room: 5, floor: 1 }));
    server.receive(Y.encodeStateAsUpdate(b, Y.encodeStateVectorFromUpdate(Y.encodeStateAsUpdate(a))), saw);
    expectAll(server, [a, b], { x: { status: 'booked', room: 5, floor: 1 } });
  });

  test('[D5] deleting the united record deletes it for good', () => {
    const [server, a, b, c] = [new Server(), client(idA), client(idB), client(3)];
    edit(a, create('x', { status: 'booked' }));
    edit(b, create('x', { room: 4 }));
    for (const doc of [a, b, c]) server.sync(doc);
    edit(c, (records) => records.delete('x'));
    server.sync(c);
    const before = Y.encodeStateVector(c);
    server.receive(Y.encodeStateAsUpdate(c, before));
    for (const doc of [a, b, c]) server.sync(doc);
    expect(server.json()).toEqual({});
    expect(jsonOfDoc(a)).toEqual({});
  });

  for (const order of ['created first', 'deleted first', 'union first'] as const) {
    test(`[D5] a concurrent creation of the same id survives a deletion, ${order}`, () => {
      const [server, a, b] = [new Server(), client(idA), client(idB)];
      edit(a, create('x', { status: 'booked' }));
      edit(b, create('x', { room: 4 }));
      if (order === 'union first') {
        server.receive(Y.encodeStateAsUpdate(b));
        server.receive(Y.encodeStateAsUpdate(a));
        const before = Y.encodeStateVector(b);
        edit(b, (records) => records.delete('x'));
        server.receive(Y.encodeStateAsUpdate(b, before));
      } else {
        edit(b, (records) => records.delete('x'));
        for (const doc of order === 'created first' ? [a, b] : [b, a]) server.sync(doc);
      }
      // The deletion of a map that had lost already is a late removal: what the union took from it stays.
      const late = order === 'union first' && idA > idB;
      expectAll(server, [a, b], { x: late ? { status: 'booked', room: 4 } : { status: 'booked' } });
    });
  }

  test('[D3] elements that two devices add under one id become one element', () => {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { items: [] }));
    for (const doc of [a, b]) server.sync(doc);
    const items = (records: Y.Map<unknown>) => record(records).get('items') as Y.Array<unknown>;
    edit(a, (records) => items(records).push([sharedValue({ id: 'm', mg: 5 })]));
    edit(b, (records) => items(records).push([sharedValue({ id: 'm', unit: 'ml' })]));
    server.receive(Y.encodeStateAsUpdate(a));
    server.receive(Y.encodeStateAsUpdate(b));
    const before = Y.encodeStateVector(a);
    edit(a, (records) => (items(records).get(0) as Y.Map<unknown>).set('late', 1));
    server.receive(Y.encodeStateAsUpdate(a, before));
    expectAll(server, [a, b], { x: { items: [{ id: 'm', mg: 5, unit: 'ml', late: 1 }] } });
  });
});

test('[D4] three maps come to the same result in each order of arrival', () => {
  const outcomes = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ].map((order) => {
    const server = new Server();
    const docs = [client(11), client(12), client(13)];
    for (const [index, doc] of docs.entries()) {
      edit(
        doc,
        create('x', {
          [`only${index}`]: index,
          all: index,
          [`not${(index + 1) % 3}`]: index,
          nested: { [`n${index}`]: 1, same: index },
          tags: ['t', `t${index}`],
        }),
      );
    }
    for (const index of order) {
      server.receive(Y.encodeStateAsUpdate(docs[index] as Y.Doc));
      if (index === 1) server.restart();
    }
    return server.json();
  });
  for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
});

test('[D4] an author who writes a field that a union copied meanwhile keeps its value, whatever the ids', () => {
  for (const [idA, idB] of [
    [1, 2],
    [2, 1],
    [4_294_967_295, 4_294_967_294],
    [4_294_967_294, 4_294_967_295],
  ] as const) {
    const [server, a, b] = [new Server(), client(idA), client(idB)];
    edit(a, create('x', { status: 'booked' }));
    edit(b, create('x', { room: 4 }));
    server.receive(Y.encodeStateAsUpdate(a));
    server.receive(Y.encodeStateAsUpdate(b));
    const winner = idA > idB ? a : b;
    const before = Y.encodeStateVector(winner);
    const key = idA > idB ? 'room' : 'status';
    edit(winner, (records) => record(records).set(key, 'mine'));
    server.receive(Y.encodeStateAsUpdate(winner, before));
    expect(server.json()).toMatchObject({ appointments: { x: { [key]: 'mine' } } });
  }
});

test('[P9] [D4] what lost is kept for late edits as long as the clock is doubted', () => {
  const [server, a, b] = [new Server(), client(2), client(1)];
  edit(a, create('x', { status: 'booked' }));
  edit(b, create('x', { room: 4 }));
  server.sync(a);
  const saw = Y.decodeStateVector(Y.encodeStateVector(b));
  server.receive(Y.encodeStateAsUpdate(b), saw);
  const year = 365 * 86_400_000;
  const load = (retention: number): Replica =>
    new Replica(
      { updates: server.rows, memory: server.memory },
      {
        ...options,
        now: () => year,
        times: { retention: () => retention, past: (date) => date, erasedAt: () => retention },
      },
    );
  const before = Y.encodeStateVector(b);
  edit(b, (records) => record(records).set('room', 5)); // it has not heard of the other one
  const late = Y.encodeStateAsUpdate(b, before);
  const after = (replica: Replica): Json => {
    replica.apply(admitted(replica, late), { saw });
    return jsonOfDoc(replica.doc);
  };
  expect(after(load(1_000))).toEqual({ appointments: { x: { status: 'booked', room: 5 } } });
  expect(after(load(year))).toEqual({ appointments: { x: { status: 'booked', room: 4 } } });
});
