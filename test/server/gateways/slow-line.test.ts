/** Large answers over slow lines (N10). */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { messages } from '../../../server/protocol/yjs.js';
import type { RawNative } from '../../support/devices/raw-native.js';
import type { TestServer } from '../../support/server.js';
import { SlowLine } from '../../support/slow-line.js';
import { openJson, openNative, openRaw, useNative, useRaw, useServer } from '../../support/use.js';

/** 10 s at 40 KB/s. */
const MOST = 400_000;

/** Records of 1 KB, in one update. */
async function give(server: TestServer, bytes: number, user = 'anna'): Promise<Y.Doc> {
  const desk = await useNative(server, user, 'desk');
  desk.doc.transact(() => {
    for (let n = 0; n < bytes / 1_000; n++) {
      desk.record('notes', `n${n}`).set('text', `${n} `.padEnd(970, 'x'));
    }
  });
  await desk.saved();
  return desk.doc;
}

const received = new WeakMap<RawNative, { readonly doc: Y.Doc; count: number }>();

/** What the messages of a connection come to, applied in their order; none may wait for another. */
function docOf(raw: RawNative): Y.Doc {
  const all = received.get(raw) ?? { doc: new Y.Doc(), count: 0 };
  received.set(raw, all);
  for (; all.count < raw.messages.length; all.count++) {
    const message = raw.messages[all.count];
    if (message?.type !== 'update' && message?.type !== 'syncStep2') continue;
    Y.applyUpdate(all.doc, message.update);
    expect([all.doc.store.pendingStructs, all.doc.store.pendingDs]).toEqual([null, null]);
  }
  return all.doc;
}

const sizesOf = ({ messages: all }: RawNative): number[] =>
  all.map((message) => ('update' in message ? message.update.length : 0));

describe('[N10 N2] a large document', () => {
  test('goes to a native device in parts, the SyncStep2 last, with all that there is', async () => {
    const server = await useServer();
    const doc = await give(server, 1_500_000);
    const raw = await useRaw(server, 'anna');
    raw.send(messages.syncStep1(Y.encodeStateVector(new Y.Doc())));
    await raw.next('syncStep2');
    expect(Math.max(...sizesOf(raw))).toBeLessThan(MOST);
    expect(raw.of('update').length).toBeGreaterThan(3);
    expect(raw.messages.at(-1)?.type).toBe('syncStep2');
    expect(docOf(raw).getMap('notes').toJSON()).toEqual(doc.getMap('notes').toJSON());
  });

  test('who has some of it gets the rest, and a small rest in one message', async () => {
    const server = await useServer();
    const doc = await give(server, 1_000_000);
    const known = Y.encodeStateAsUpdate(doc);
    const had = Y.encodeStateVector(doc);
    doc.transact(() => {
      for (let n = 100; n < 700; n++) {
        (doc.getMap('notes').get(`n${n}`) as Y.Map<unknown>).set('text', 'y'.repeat(900));
      }
      for (let n = 0; n < 100; n++) doc.getMap('notes').delete(`n${n}`);
    });
    const raw = openRaw(server, 'anna');
    await raw.next('syncStep1');
    raw.send(messages.checkpoint(1));
    await raw.next('checkpoint');
    raw.send(messages.syncStep1(had));
    await expect.poll(() => raw.of('syncStep2').length).toBe(1);
    expect(Math.max(...sizesOf(raw))).toBeLessThan(MOST);
    const both = new Y.Doc();
    Y.applyUpdate(both, known);
    for (const message of raw.messages) if ('update' in message) Y.applyUpdate(both, message.update);
    await expect.poll(() => both.getMap('notes').size).toBeGreaterThan(0);
    const later = openRaw(server, 'anna');
    await later.next('syncStep1');
    later.send(messages.syncStep1(Y.encodeStateVector(both)));
    const { update } = await later.next('syncStep2');
    expect([update.length < 20_000, later.of('update').length]).toEqual([true, 0]);
  });

  test('what others change meanwhile comes behind it, in its order', async () => {
    const server = await useServer();
    await give(server, 1_500_000);
    const desk = await useNative(server, 'anna', 'other');
    const raw = await useRaw(server, 'anna');
    raw.send(messages.syncStep1(Y.encodeStateVector(new Y.Doc())));
    raw.send(messages.checkpoint(1));
    await raw.next('checkpoint'); // the answer is made
    for (let n = 0; n < 20; n++) {
      desk.record('notes', `n${n}`).set('seen', n);
      await desk.saved();
    }
    await raw.until(() => raw.of('syncStep2').length > 0 && docOf(raw).getMap('notes').size > 0);
    await raw.until(
      () => (docOf(raw).getMap('notes').get('n19') as Y.Map<unknown> | undefined)?.get('seen') === 19,
    );
    expect(docOf(raw).getMap('notes').toJSON()).toEqual(desk.doc.getMap('notes').toJSON());
    expect(raw.closed).toBeNull();
  });

  test('[N5] one that a device brings goes to others in parts as well', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna');
    const doc = await give(server, 1_500_000);
    await raw.until(() => docOf(raw).getMap('notes').size === 1_500);
    expect(Math.max(...sizesOf(raw))).toBeLessThan(MOST);
    expect(docOf(raw).getMap('notes').toJSON()).toEqual(doc.getMap('notes').toJSON());
  });

  test('[N6] so do awareness states of many devices', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna');
    for (let device = 0; device < 20; device++) {
      const from = await useRaw(server, 'anna');
      const state = JSON.stringify('ä'.repeat(1_900));
      const ids = Array.from({ length: 8 }, (_, n) => 8 * device + n);
      from.send(messages.awareness(ids.map((id) => ({ id, clock: 1, state }))));
    }
    const count = ({ messages: all }: RawNative) =>
      all.reduce((sum, message) => sum + (message.type === 'awareness' ? message.entries.length : 0), 0);
    const largest = ({ messages: all }: RawNative) =>
      Math.max(
        ...all.map((message) =>
          message.type === 'awareness' ? messages.awareness(message.entries).length : 0,
        ),
      );
    await raw.until(() => count(raw) === 160);
    const late = openRaw(server, 'anna');
    await late.until(() => count(late) === 160);
    late.send(Uint8Array.of(3));
    await late.until(() => count(late) === 320);
    for (const each of [raw, late]) expect(largest(each)).toBeLessThan(MOST);
  });
});

/** A tenth of the time that it would take at 40 KB/s, with pings ten times as often as every 10 s. */
test('[N10 S4] over a line that takes five pings for it, a provider and a JSON device get it on one connection', async () => {
  const server = await useServer({ PING_INTERVAL: '1s' });
  await give(server, 2_000_000);
  const line = async () => {
    const opened = await SlowLine.open(server, 400_000);
    onTestFinished(() => opened.close());
    return opened;
  };
  const [forNative, forJson] = [await line(), await line()];
  const began = performance.now();
  const native = async () => {
    const device = openNative(forNative, 'anna', 'phone');
    await device.until(() => device.doc.getMap('notes').size === 2_000 && device.provider.synced);
    return [performance.now() - began, device.connections] as const;
  };
  const json = async () => {
    const device = openJson(forJson, 'anna', 'tablet');
    await device.next('CONNECTION_CONFIRMED');
    expect(Object.keys(device.store.notes ?? {})).toHaveLength(2_000);
    expect(device.closed).toBeNull();
    return [performance.now() - began, 1] as const;
  };
  for (const [took, connections] of await Promise.all([native(), json()])) {
    expect(connections).toBe(1);
    expect(took).toBeGreaterThan(4_000);
  }
}, 60_000);
