/**
 * Pending changes go in parts (C11, N4). Who answers, and when, is driven by hand: only so can a line break at a
 * chosen moment. `connection-server.test.ts` has the real server.
 */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import type { YjsMessage } from '../../server/protocol/yjs.js';
import { messages } from '../../server/protocol/yjs.js';
import { type Exchange, encodeExchange } from '../../shared/exchange.js';
import { ConnectionWorld, settle } from '../support/connection-world.js';

const KB = 1024;

/** A device with so many records that the server does not have. */
function withBacklog(records: number, bytes: number, options?: { sockets: 'none' }): ConnectionWorld {
  const world = new ConnectionWorld(options);
  const text = 'x'.repeat(bytes);
  for (let n = 0; n < records; n++) world.source.create('notes', `n${n}`, { text });
  return world;
}

/** The server has taken what was sent to it, message by message. */
function take(server: Y.Doc, sent: readonly YjsMessage[]): void {
  for (const message of sent) {
    if (message.type === 'update' || message.type === 'syncStep2') Y.applyUpdate(server, message.update);
  }
}

const bytesOf = (message: YjsMessage): number => (message.type === 'update' ? message.update.length : 0);

test.each([
  ['many small ones', 3_000, 20],
  ['some of 10 kB', 60, 10_000],
  ['some that are larger than a part', 5, 200_000],
])(
  '[C11] %s: a line that breaks under way brings something on every connection',
  async (_, records, bytes) => {
    const world = await withBacklog(records, bytes).started();
    const server = new Y.Doc();
    let uploaded = 0;
    for (let connection = 0; world.source.pending.length > 0; connection++) {
      const { last } = world.sockets;
      const before = world.source.pending.length;
      last.welcomes(Y.encodeStateVector(server));
      await settle();
      expect(last.types[0]).toBe('syncStep1');
      // The line breaks when the first part is confirmed, and what is behind it is lost.
      const end = last.types.indexOf('checkpoint');
      take(server, last.sent.slice(0, end));
      uploaded += last.sent.slice(0, end).reduce((sum, message) => sum + bytesOf(message), 0);
      last.answers(last.checkpoints[0] ?? -1);
      await settle();
      expect(world.source.pending.length).toBeLessThan(before);
      await world.drop();
      await world.pass(1_000);
      expect(world.exchanges).toEqual([]);
      expect(connection).toBeLessThan(records);
    }
    expect(server.getMap('notes').size).toBe(records);
    expect(uploaded).toBeLessThan(1.1 * world.source.diff(Uint8Array.of(0)).length);
  },
);

test.each([
  [200, 1_000],
  [60, 10_000],
  [9, 60_000],
])('[C11] of %i changes with %i bytes at most 128 KiB are unanswered', async (records, bytes) => {
  const world = await withBacklog(records, bytes).started();
  const { last } = world.sockets;
  last.welcomes();
  await settle();
  const sent = () => last.sent.reduce((sum, message) => sum + bytesOf(message), 0);
  expect(sent()).toBeLessThanOrEqual(128 * KB);
  expect(sent()).toBeGreaterThan(50 * KB);
  for (let answered = 0; answered < last.checkpoints.length; answered++) {
    const before = sent();
    last.answers(last.checkpoints[answered] ?? -1);
    await settle();
    expect(sent() - before).toBeLessThanOrEqual(128 * KB);
  }
  expect(world.report?.connection).toBe('online');
  const server = new Y.Doc();
  take(server, last.sent);
  expect(server.getMap('notes').size).toBe(records);
  expect(last.types.filter((type) => type === 'syncStep2')).toHaveLength(1);
});

test('[C11] what the server had got when the line broke is not sent again, and is confirmed', async () => {
  const world = await withBacklog(30, 10_000).started();
  const server = new Y.Doc();
  world.sockets.last.welcomes();
  await settle();
  take(server, world.sockets.last.sent);
  const had = server.getMap('notes').size;
  await world.drop(); // and no answer came back
  expect(world.source.pending).toHaveLength(30);
  await world.pass(1_000);
  const { last } = world.sockets;
  last.welcomes(Y.encodeStateVector(server));
  await settle();
  const again = new Y.Doc();
  take(again, last.sent);
  expect(had).toBeGreaterThan(5);
  for (let n = 0; n < had; n++) expect(again.getMap('notes').has(`n${n}`)).toBe(false);
  for (let answered = 0; answered < last.checkpoints.length; answered++) {
    last.answers(last.checkpoints[answered] ?? -1);
    await settle();
  }
  take(server, last.sent);
  expect(server.getMap('notes').size).toBe(30);
  expect(world.source.pending).toEqual([]);
});

test('[C11] a deletion is sent again, which no state vector shows', async () => {
  const world = new ConnectionWorld();
  world.source.create('notes', 'n', {});
  world.source.confirm(1);
  const server = new Y.Doc();
  Y.applyUpdate(server, world.source.diff(Uint8Array.of(0)));
  world.source.write((doc) => doc.getMap('notes').delete('n'));
  await world.started();
  world.sockets.last.welcomes(Y.encodeStateVector(server));
  await settle();
  expect(world.sockets.last.types).toEqual(['syncStep1', 'update', 'syncStep2', 'checkpoint']);
});

test('[C4] what is written while parts are unanswered goes together', async () => {
  const world = await new ConnectionWorld().online();
  const { last } = world.sockets;
  for (let n = 0; n < 10_000; n++) world.source.create('notes', `n${n}`, { n });
  for (let answered = 1; answered < last.checkpoints.length; answered++) {
    last.answers(last.checkpoints[answered] ?? -1);
    await settle();
  }
  expect(world.source.pending).toEqual([]);
  expect(last.sent.length).toBeLessThan(200);
});

test('[C6 C9] it comes online where another tab gives what is left of an upload', async () => {
  const world = await withBacklog(30, 10_000).started();
  const { last } = world.sockets;
  last.welcomes();
  await settle();
  expect(last.checkpoints.length).toBeLessThan(5);
  world.source.confirm(30);
  for (let answered = 0; answered < last.checkpoints.length; answered++) {
    last.answers(last.checkpoints[answered] ?? -1);
    await settle();
  }
  expect(last.types.filter((type) => type === 'syncStep2')).toHaveLength(1);
  expect(world.report?.connection).toBe('online');
});

test('[C9 C11] what waits in a document that another tab has stored is not taken for given', async () => {
  const world = await withBacklog(30, 10_000).started();
  const { last } = world.sockets;
  const done: string[] = [];
  void world.connection.flush().then(
    () => done.push('flushed'),
    () => {},
  );
  last.welcomes();
  await settle();
  expect(last.checkpoints.length).toBeLessThan(5);
  world.source.replace();
  for (let answered = 0; answered < last.checkpoints.length; answered++) {
    last.answers(last.checkpoints[answered] ?? -1);
    await settle();
  }
  expect(last.types).not.toContain('syncStep2');
  expect(done).toEqual([]);
});

test('[P6] where the pending changes build on what an older backup lacks, the rest waits for no answer', async () => {
  const world = withBacklog(40, 10_000);
  world.source.confirm(1);
  await world.started();
  world.sockets.last.welcomes();
  await settle();
  const { last } = world.sockets;
  expect(last.types).toContain('syncStep2');
  const server = new Y.Doc();
  take(server, last.sent);
  expect(server.getMap('notes').size).toBe(40);
});

test.each([
  [40, 10_000],
  [3_000, 20],
  [3, 300_000],
])(
  '[C11] over HTTP, %i changes of %i bytes go in bodies that proxies take, and each answer counts',
  async (records, bytes) => {
    const world = withBacklog(records, bytes, { sockets: 'none' });
    const server = new Y.Doc();
    const sizes: number[] = [];
    let left = 2;
    world.http = (exchange: Exchange) => {
      if (left-- === 0) throw new TypeError('fetch failed'); // each third body is lost
      if (left < 0) left = 2;
      sizes.push(encodeExchange(exchange).length);
      if (exchange.update.length > 0) Y.applyUpdate(server, exchange.update);
      return { stateVector: Y.encodeStateVector(server), update: new Uint8Array(0) };
    };
    await world.started();
    while (world.source.pending.length > 0) {
      const before = world.source.pending.length;
      await world.pass(30_000);
      expect(world.source.pending.length).toBeLessThan(before);
    }
    expect(Math.max(...sizes)).toBeLessThan(512 * KB);
    expect(server.getMap('notes').size).toBe(records);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(
      1.1 * world.source.diff(Uint8Array.of(0)).length,
    );
  },
);

test.each([
  [60, 10_000],
  [2_000, 400],
  [10, 120_000],
])(
  '[C11] over HTTP, of %i changes of %i bytes none goes again whose answer was lost',
  async (records, bytes) => {
    const world = withBacklog(records, bytes, { sockets: 'none' });
    const server = new Y.Doc();
    let uploaded = 0;
    let posts = 0;
    world.http = (exchange: Exchange) => {
      uploaded += exchange.update.length;
      if (exchange.update.length > 0) Y.applyUpdate(server, exchange.update);
      if (++posts % 2 === 0) throw new TypeError('fetch failed'); // the server had it, and its answer is lost
      return { stateVector: Y.encodeStateVector(server), update: new Uint8Array(0) };
    };
    await world.started();
    for (let breaks = 0; world.source.pending.length > 0; breaks++) {
      expect(breaks).toBeLessThan(records);
      await world.pass(30_000);
    }
    expect(server.getMap('notes').size).toBe(records);
    expect(uploaded).toBeLessThan(1.2 * world.source.diff(Uint8Array.of(0)).length);
  },
);

test('[C11] over HTTP a deletion is sent again, which no state vector shows, and what is behind it is not', async () => {
  const world = new ConnectionWorld({ sockets: 'none' });
  world.source.create('notes', 'old', {});
  world.source.confirm(1);
  const server = new Y.Doc();
  Y.applyUpdate(server, world.source.diff(Uint8Array.of(0)));
  world.source.write((doc) => doc.getMap('notes').delete('old'));
  for (let n = 0; n < 20; n++) world.source.create('notes', `n${n}`, { text: 'x'.repeat(10_000) });
  Y.applyUpdate(server, Y.encodeStateAsUpdate(world.source.doc, Y.encodeStateVector(server)));
  const sizes: number[] = [];
  world.http = ({ update }) => {
    sizes.push(update.length);
    if (update.length > 0) Y.applyUpdate(server, update);
    return { stateVector: Y.encodeStateVector(server), update: new Uint8Array(0) };
  };
  await world.started();
  await settle();
  expect(world.source.pending).toEqual([]);
  expect(server.getMap('notes').has('old')).toBe(false);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(20_000);
});

test('[C11] over HTTP the next attempt comes soon where the last one brought something', async () => {
  const world = withBacklog(200, 10_000, { sockets: 'none' });
  const server = new Y.Doc();
  let posts = 0;
  world.http = ({ update }) => {
    if (++posts % 3 === 0) throw new TypeError('fetch failed');
    if (update.length > 0) Y.applyUpdate(server, update);
    return { stateVector: Y.encodeStateVector(server), update: new Uint8Array(0) };
  };
  await world.started();
  for (let breaks = 0; breaks < 30; breaks++) await world.pass(1_000);
  expect(world.source.pending).toEqual([]);
});

test('[C11] over HTTP a token is asked for before each part', async () => {
  const tokens: string[] = [];
  const world = new ConnectionWorld({
    sockets: 'none',
    getToken: () => {
      tokens.push(`t${tokens.length}`);
      return tokens[tokens.length - 1] ?? null;
    },
  });
  for (let n = 0; n < 30; n++) world.source.create('notes', `n${n}`, { text: 'x'.repeat(20_000) });
  const server = new Y.Doc();
  world.http = ({ update }) => {
    if (update.length > 0) Y.applyUpdate(server, update);
    return { stateVector: Y.encodeStateVector(server), update: new Uint8Array(0) };
  };
  await world.started();
  await settle();
  expect(world.source.pending).toEqual([]);
  const used = world.requests.map(({ headers }) => headers.Authorization);
  expect(used.length).toBeGreaterThan(3);
  expect(new Set(used).size).toBe(used.length);
});

test('a part that a server refuses in mid-upload leaves what was confirmed before it confirmed', async () => {
  const world = await withBacklog(30, 10_000).started();
  const { last } = world.sockets;
  last.welcomes();
  last.says(messages.proof(new URL(last.url).searchParams.get('challenge') ?? ''));
  await settle();
  last.answers(last.checkpoints[0] ?? -1);
  await settle();
  const left = world.source.pending.length;
  expect(left).toBeLessThan(30);
  await world.drop(1009, 'too large');
  expect(world.source.pending).toHaveLength(left);
});
