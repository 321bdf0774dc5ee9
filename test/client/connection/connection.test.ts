/**
 * What a connection says, and what it takes from the answers. Socket, time and chance are driven by hand: only so
 * can messages be lost, doubled and held back. `connection-server.test.ts` has the real server.
 */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { messages } from '../../../server/protocol/yjs.js';
import { ConnectionWorld, settle } from '../../support/connection-world.js';
import { PlainSource } from '../../support/plain-source.js';

const updatesIn = (world: ConnectionWorld): Uint8Array[] =>
  world.sockets.last.sent.flatMap((message) => (message.type === 'update' ? [message.update] : []));

const step2In = (world: ConnectionWorld): Uint8Array[] =>
  world.sockets.last.sent.flatMap((message) => (message.type === 'syncStep2' ? [message.update] : []));

/** Clocks that an update brings. */
const structsIn = (update: Uint8Array): number => Y.decodeUpdate(update).structs.length;

test('[N1] the address keeps the path of the server and names user and device', async () => {
  const { sockets } = await new ConnectionWorld({ getToken: () => 'a b' }).started();
  const { url } = sockets.last;
  expect(`${url.protocol}//${url.host}${url.pathname}`).toBe('ws://sync.test:3001/base/yjs/anna%40home');
  expect(Object.fromEntries(url.searchParams)).toEqual({
    deviceId: 'phone:1',
    times: '1',
    rewrites: '1',
    challenge: 'challenge-1',
    token: 'a b',
  });
  const safe = await new ConnectionWorld({ serverUrl: 'https://sync.test' }).started();
  expect(safe.sockets.last.url.href).toBe(
    'wss://sync.test/yjs/anna%40home?deviceId=phone%3A1&times=1&rewrites=1&challenge=challenge-1',
  );
});

test.each([
  ['aaa.bbb-_.ccc', ['bearer', 'aaa.bbb-_.ccc'], null],
  ['a+b', ['bearer', 'a+b'], null],
  ['a/b=', [], 'a/b='], // no subprotocol can be so
  ['bearer', [], 'bearer'], // nor twice the same
  [null, [], null],
])('[A3] the token %s goes where no log of a proxy has it, if it can', async (token, protocols, inQuery) => {
  const { sockets } = await new ConnectionWorld({ getToken: () => token }).started();
  expect(sockets.last.protocols).toEqual(protocols);
  expect(sockets.last.url.searchParams.get('token')).toBe(inQuery);
});

test('[D4] waits for SyncStep1, then gives the pending changes as they were made, and asks', async () => {
  const world = new ConnectionWorld();
  world.source.create('patients', 'p', { name: 'Anna' });
  world.source.create('patients', 'q', { name: 'Beat' });
  await world.started();
  const { last } = world.sockets;
  last.open();
  expect(last.sent).toEqual([]);
  last.says(messages.syncStep1(Uint8Array.of(0)));
  await settle();
  expect(last.types).toEqual(['syncStep1', 'update', 'syncStep2', 'checkpoint']);
  expect(last.checkpoints).toEqual([2]);
  const server = new Y.Doc();
  for (const update of updatesIn(world)) Y.applyUpdate(server, update);
  expect(server.getMap('patients').toJSON()).toEqual({ p: { name: 'Anna' }, q: { name: 'Beat' } });
});

test('[D4] what lost a concurrent creation is in what is sent, though it is gone from the document', async () => {
  const world = new ConnectionWorld();
  world.source.create('patients', 'p', { room: 4 });
  const other = new PlainSource(9); // the higher client id wins
  other.create('patients', 'p', { name: 'Anna' });
  Y.applyUpdate(world.source.doc, other.diff(Uint8Array.of(0)));
  expect(world.source.doc.getMap('patients').toJSON()).toEqual({ p: { name: 'Anna' } });
  await world.started();
  world.sockets.last.welcomes();
  await settle();
  const alone = new Y.Doc();
  for (const update of updatesIn(world)) Y.applyUpdate(alone, update);
  expect(alone.getMap('patients').toJSON()).toEqual({ p: { room: 4 } });
});

test('[N1] SyncStep2 brings deletions, and nothing that the pending changes have brought', async () => {
  const world = new ConnectionWorld();
  world.source.create('patients', 'p', { name: 'Anna' });
  world.source.confirm(1);
  const before = world.source.diff(Uint8Array.of(0));
  world.source.create('patients', 'q', { name: 'Beat' });
  world.source.write((doc) => doc.getMap('patients').delete('p'));
  await world.started();
  world.sockets.last.welcomes(Y.encodeStateVectorFromUpdate(before));
  await settle();
  const [step2 = new Uint8Array(0)] = step2In(world);
  expect(structsIn(step2)).toBe(0);
  const server = new Y.Doc();
  for (const update of [before, ...updatesIn(world), step2]) Y.applyUpdate(server, update);
  expect(server.getMap('patients').toJSON()).toEqual({ q: { name: 'Beat' } });
});

test('[P6] a server of an older backup gets back what it has lost, deletions included', async () => {
  const world = new ConnectionWorld();
  world.source.create('patients', 'p', { name: 'Anna' });
  const backup = world.source.diff(Uint8Array.of(0));
  world.source.create('patients', 'q', { name: 'Beat' });
  world.source.write((doc) => doc.getMap('patients').delete('p'));
  world.source.confirm(3);
  await world.started();
  world.sockets.last.welcomes(Y.encodeStateVectorFromUpdate(backup));
  await settle();
  expect(world.sockets.last.types).toEqual(['syncStep1', 'syncStep2', 'checkpoint']);
  const server = new Y.Doc();
  for (const update of [backup, ...step2In(world)]) Y.applyUpdate(server, update);
  expect(server.getMap('patients').toJSON()).toEqual({ q: { name: 'Beat' } });
});

test('[S1] after 1008 the pending changes go within one update with all that they build on', async () => {
  const world = await new ConnectionWorld().started();
  world.source.create('patients', 'p', { name: 'Anna' });
  world.source.confirm(1);
  world.source.create('patients', 'q', { name: 'Beat' });
  world.sockets.last.welcomes();
  await world.drop(1008, 'send the whole document');
  expect(world.report).toMatchObject({ connection: 'offline', reason: 'send the whole document' });
  await world.pass(30_000);
  world.sockets.last.welcomes();
  await settle();
  expect(world.sockets.last.types).toEqual(['syncStep1', 'syncStep2', 'checkpoint']);
  expect(world.sockets.last.checkpoints).toEqual([2]);
  const server = new Y.Doc();
  for (const update of step2In(world)) Y.applyUpdate(server, update);
  expect(server.getMap('patients').size).toBe(2);
});

test('[N2] it is online once the data of the server is stored and the first checkpoint came back', async () => {
  const world = await new ConnectionWorld().started();
  let stored = (): void => {};
  world.source.storing = new Promise((resolve) => {
    stored = resolve;
  });
  world.sockets.last.welcomes();
  await settle();
  world.sockets.last.answers(0);
  await settle();
  expect(world.report?.connection).toBe('connecting');
  stored();
  await settle();
  expect(world.report).toEqual({
    connection: 'online',
    reason: null,
    hasReceived: true,
    error: null,
    lastSyncedAt: world.clock.now(),
  });
});

test('[N2] what comes before SyncStep2 is stored does not overtake it', async () => {
  const world = await new ConnectionWorld().started();
  let stored = (): void => {};
  world.source.storing = new Promise((resolve) => {
    stored = resolve;
  });
  world.sockets.last.welcomes();
  world.source.create('patients', 'p', {});
  await settle();
  world.sockets.last.answers(world.sockets.last.checkpoints[0] ?? -1);
  await settle();
  expect(world.source.confirmed).toEqual([]);
  stored();
  await settle();
  expect(world.source.confirmed).toHaveLength(1);
});

test('[C4] a checkpoint confirms only what was sent before it', async () => {
  const world = await new ConnectionWorld().online();
  const { last } = world.sockets;
  world.source.create('patients', 'p', {});
  world.source.create('patients', 'q', {});
  expect(last.types.slice(-4)).toEqual(['update', 'checkpoint', 'update', 'checkpoint']);
  expect(last.checkpoints).toEqual([0, 1, 2]);
  last.answers(1);
  await settle();
  expect(world.source.confirmed).toEqual([0, 1]);
  expect(world.source.pending).toHaveLength(1);
  last.answers(2);
  await settle();
  expect(world.source.pending).toEqual([]);
  expect(last.checkpoints).toEqual([0, 1, 2]);
});

test('[C4] doubled and unknown checkpoints confirm nothing', async () => {
  const world = await new ConnectionWorld().online();
  const { last } = world.sockets;
  world.source.create('patients', 'p', {});
  for (const n of [0, 2, 1_000_000]) last.answers(n);
  await settle();
  expect(world.source.confirmed).toEqual([0]);
  last.answers(1);
  last.answers(1);
  await settle();
  expect(world.source.confirmed).toEqual([0, 1]);
});

test('[C4] after a lost checkpoint the next connection sends the change again, and confirms it', async () => {
  const world = await new ConnectionWorld().online();
  world.source.create('patients', 'p', {});
  const old = world.sockets.last;
  await world.drop();
  old.answers(1);
  await settle();
  expect(world.source.pending).toHaveLength(1);
  await world.pass(1_000);
  await world.welcomed();
  expect(world.sockets.all).toHaveLength(2);
  expect(updatesIn(world)).toHaveLength(1);
  expect(world.source.pending).toEqual([]);
});

test('[S1] when the server asks again, it gets everything that it lacks', async () => {
  const world = await new ConnectionWorld().online();
  world.source.create('patients', 'p', { name: 'Anna' });
  world.sockets.last.says(messages.syncStep1(Uint8Array.of(0)));
  await settle();
  const server = new Y.Doc();
  Y.applyUpdate(server, step2In(world)[1] ?? Uint8Array.of(0, 0));
  expect(server.getMap('patients').toJSON()).toEqual({ p: { name: 'Anna' } });
});

test('[C6] a change that is refused is told, and the connection stays', async () => {
  const world = new ConnectionWorld();
  world.source.create('patients', 'p', {});
  await world.started();
  world.sockets.last.welcomes();
  world.sockets.last.says(messages.permissionDenied('read only'));
  await settle();
  expect(world.report).toMatchObject({
    connection: 'online',
    error: { code: 'REFUSED', message: 'read only' },
  });
  expect(world.report?.lastSyncedAt).toBeUndefined();
  expect(world.source.pending).toHaveLength(1);
  await expect(world.connection.flush()).rejects.toMatchObject({ code: 'REFUSED' });
  world.connection.retryNow(); // a new token
  await settle();
  expect(world.sockets.all).toHaveLength(2);
});

test('an unknown message type is passed over', async () => {
  const world = await new ConnectionWorld().online();
  world.sockets.last.says(Uint8Array.of(77, 1, 2, 3));
  world.sockets.last.says(Uint8Array.of(0, 9, 0));
  await settle();
  expect(world.report?.connection).toBe('online');
});

test.each([
  ['a message that ends too early', Uint8Array.of(0, 2, 200, 1)],
  ['an update that Yjs can not apply', messages.update(Uint8Array.of(1, 1, 1, 0, 99, 99))],
  ['no bytes at all', new Uint8Array(0)],
])('%s ends the connection with an error, and it is tried again', async (_, message) => {
  const world = await new ConnectionWorld().online();
  world.sockets.last.says(message);
  await settle();
  expect(world.sockets.last.closedWith).toBe(1000);
  expect(world.report).toMatchObject({ connection: 'offline', error: { code: 'OFFLINE' } });
  await world.pass(8_000);
  expect(world.sockets.all).toHaveLength(2);
  await world.welcomed();
  expect(world.report).toMatchObject({ connection: 'online', error: null });
});

test('after stop() nothing that comes late changes anything, and it can be started again', async () => {
  const world = await new ConnectionWorld().online();
  const { last } = world.sockets;
  const said = last.onmessage;
  world.source.create('patients', 'p', {});
  world.connection.stop();
  expect(last.closedWith).toBe(1000);
  expect(world.report?.connection).toBe('offline');
  const reports = world.reports.length;
  said?.({ data: messages.checkpoint(1).slice().buffer });
  world.hint('online');
  await world.pass(120_000);
  expect(world.reports).toHaveLength(reports);
  expect(world.source.pending).toHaveLength(1);
  expect([world.source.listeners, world.clock.waiting]).toEqual([0, 0]);
  await world.online();
  expect(world.report?.connection).toBe('online');
  expect(world.source.pending).toEqual([]);
});
