/** The endpoint of JSON devices over real sockets (L1–L3, L9–L11). */
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import * as Y from 'yjs';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Collections } from '../../../shared/json.js';
import { byId } from '../../support/clinic.js';
import { ObservedStore } from '../../support/observed-store.js';
import { openJson, useJson, useNative, useRaw, useUnpaced } from '../../support/use.js';

const STANDARD = { appointments: [], consultations: [], prescriptions: [], medicalRecords: [] };

describe('[L1 D7] on connect', () => {
  test('a full sync with the standard collections, then the confirmation', async () => {
    const server = await useUnpaced();
    const before = Date.now();
    const tablet = await useJson(server, 'anna', 'tablet');
    expect(tablet.messages).toEqual([
      { type: 'FULL_SYNC', data: STANDARD, timestamp: expect.any(Number) },
      { type: 'CONNECTION_CONFIRMED', userId: 'anna', deviceId: 'tablet', timestamp: expect.any(Number) },
    ]);
    for (const { timestamp } of tablet.messages) {
      expect(timestamp).toBeGreaterThanOrEqual(before);
      expect(timestamp).toBeLessThanOrEqual(Date.now());
    }
  });

  test('every collection that ever had a record stays in it', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('zeta notes', { id: 'n1' });
    tablet.delete('zeta notes', 'n1');
    tablet.update('alpha', { id: 'a1', nested: { deep: [1, [2], { id: 'x' }] } });
    await tablet.saved();
    const desk = await useJson(server, 'anna', 'desk');
    expect(desk.of('FULL_SYNC')[0]?.data).toEqual({
      ...STANDARD,
      'zeta notes': [],
      alpha: [{ id: 'a1', nested: { deep: [1, [2], { id: 'x' }] } }],
    });
  });

  test.each(['', '?userId=anna', '?deviceId=tablet', '?userId=&deviceId=tablet', '?userId=anna&deviceId='])(
    '[S4] without userId or deviceId (%s): 1008 and its reason',
    async (query) => {
      const server = await useUnpaced();
      const ws = new WebSocket(`${server.url.replace('http', 'ws')}/sync${query}`);
      const end = await new Promise((resolve) => {
        ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
      });
      expect(end).toEqual({ code: 1008, reason: 'Missing userId or deviceId' });
    },
  );

  test.each([
    ['a%b', 'tablet'],
    ['anna', 'tab\tlet'],
    ['a'.repeat(129), 'tablet'],
    ['../etc', 'x/y'],
  ])('[D6] the user %s with the device %s: 1008', async (user, device) => {
    const server = await useUnpaced();
    expect((await openJson(server, user, device).end()).code).toBe(1008);
  });
});

describe('[L1] REQUEST_SYNC', () => {
  test('is answered with a full sync; several waiting ones are answered once', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.requestSync();
    await tablet.until(() => tablet.of('FULL_SYNC').length === 2);
    memory.hold();
    tablet.update('notes', { id: 'n1' });
    for (const ack of ['one', 'two', 'three']) tablet.requestSync({ ack });
    await tablet.heard();
    memory.release();
    await tablet.until(() => tablet.of('ACK').length === 3);
    expect(tablet.of('FULL_SYNC')).toHaveLength(3);
    expect(tablet.of('FULL_SYNC')[2]?.data).toEqual({ ...STANDARD, notes: [{ id: 'n1' }] });
  });

  test('one that comes after further changes gets them too', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    memory.hold();
    tablet.update('notes', { id: 'n1' });
    await store.until(() => store.commits === 1);
    desk.requestSync();
    await desk.heard();
    tablet.update('notes', { id: 'n2' });
    await store.until(() => store.commits === 2);
    desk.requestSync({ ack: 'second' });
    await desk.heard();
    memory.release();
    await desk.until(() => desk.of('ACK').length === 1);
    expect(Object.keys(desk.store.notes ?? {})).toEqual(['n1', 'n2']);
  });

  test('a full sync is one revision: what comes after it are the changes after it, in order', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const late = openJson(server, 'anna', 'late');
    let last = 0;
    while (last < 100 || late.of('CONNECTION_CONFIRMED').length === 0) {
      tablet.update('notes', { id: 'n1', i: ++last });
      if (last % 10 === 0) await tablet.saved();
    }
    await late.until(() => late.store.notes?.n1?.i === last);
    const [first, ...rest] = late.messages.filter(({ type }) => type !== 'CONNECTION_CONFIRMED');
    const synced = byId((first?.data ?? {}) as unknown as Collections).notes?.n1?.i ?? 0;
    const seen = [synced, ...rest.map(({ data }) => Number(data.document.i))];
    expect(first?.type).toBe('FULL_SYNC');
    expect(seen).toEqual(seen.map((_, index) => Number(synced) + index));
  });
});

describe('[L2] a write changes the fields that differ, and no other', () => {
  test('a field of another device that the writer does not know is kept', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    tablet.update('notes', { id: 'n1', text: 'x', nested: { a: 1, b: { c: 2 } } });
    await tablet.saved();
    desk.update('notes', { id: 'n1', by: 'desk', nested: { b: { d: 3 } } });
    await desk.saved();
    const merged = { id: 'n1', text: 'x', by: 'desk', nested: { a: 1, b: { c: 2, d: 3 } } };
    expect(tablet.store.notes?.n1).toEqual(merged);
    expect(desk.store.notes?.n1).toEqual(merged);
  });

  test('a write that changes nothing is no change: nothing is stored, nobody hears of it', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    const record = { id: 'n1', list: [1, { id: 'a', x: null }], text: 'x', deep: { a: [[]] } };
    for (let i = 0; i < 3; i++) tablet.update('notes', record);
    await tablet.saved();
    await desk.heard();
    expect(store.commits).toBe(1);
    expect(desk.of('DATA_UPDATE')).toHaveLength(1);
  });

  test('[N5] the update that native devices get holds the new field alone', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const raw = await useRaw(server, 'anna', 'phone');
    tablet.update('notes', { id: 'n1', long: 'x'.repeat(10_000), text: 'a' });
    await raw.next('update');
    tablet.update('notes', { id: 'n1', long: 'x'.repeat(10_000), text: 'b' });
    expect((await raw.next('update')).update.length).toBeLessThan(60);
  });
});

describe('[L3] changes reach the other JSON devices', () => {
  test('as the whole merged record, with the device that made them, whichever protocol it speaks', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const phone = await useNative(server, 'anna', 'phone');
    const desk = await useJson(server, 'anna', 'desk');
    tablet.update('notes', { id: 'n1', text: 'x' });
    expect(await desk.next('DATA_UPDATE')).toEqual({
      type: 'DATA_UPDATE',
      data: { collection: 'notes', document: { id: 'n1', text: 'x' } },
      timestamp: expect.any(Number),
      fromDevice: 'tablet',
    });
    await phone.until(() => phone.json().notes?.n1);
    phone.record('notes', 'n1').set('tags', Y.Array.from(['a']));
    expect(await desk.next('DATA_UPDATE')).toMatchObject({
      data: { collection: 'notes', document: { id: 'n1', text: 'x', tags: ['a'] } },
      fromDevice: 'phone',
    });
    await fetch(`${server.url}/api/sync/anna`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Device-ID': 'fetcher' },
      body: JSON.stringify({
        changes: [
          {
            type: 'DATA_DELETE',
            userId: 'anna',
            deviceId: 'fetcher',
            data: { collection: 'notes', documentId: 'n1' },
          },
        ],
      }),
    });
    expect(await desk.next('DATA_DELETE')).toEqual({
      type: 'DATA_DELETE',
      data: { collection: 'notes', documentId: 'n1' },
      timestamp: expect.any(Number),
      fromDevice: 'fetcher',
    });
    await tablet.next('DATA_DELETE');
    expect(tablet.store.notes).toEqual({});
  });

  test('edits deep inside a record, and several records of one native transaction', async () => {
    const server = await useUnpaced();
    const phone = await useNative(server, 'anna', 'phone');
    const desk = await useJson(server, 'anna', 'desk');
    phone.doc.transact(() => {
      phone.record('notes', 'n1').set('deep', new Y.Map([['list', Y.Array.from([new Y.Map([['x', 1]])])]]));
      phone.record('notes', 'n2').set('text', new Y.Text('hello'));
    });
    await desk.until(() => desk.of('DATA_UPDATE').length === 2);
    const deep = phone.record('notes', 'n1').get('deep') as Y.Map<Y.Array<Y.Map<unknown>>>;
    deep.get('list')?.get(0).set('x', 2);
    (phone.record('notes', 'n2').get('text') as Y.Text).insert(5, ' world');
    await desk.until(() => desk.store.notes?.n2?.text === 'hello world');
    expect(desk.store.notes).toEqual({
      n1: { id: 'n1', deep: { list: [{ x: 2 }] } },
      n2: { id: 'n2', text: 'hello world' },
    });
  });

  test('the sender gets no copy of a write that was taken as it is', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    await tablet.heard(); // the pong of the first full sync is in
    tablet.update('notes', { id: 'n1', text: 'x' }, { ack: 'one' });
    await tablet.next('ACK');
    tablet.delete('notes', 'n1', { ack: 'two' });
    await tablet.next('ACK');
    expect([tablet.of('DATA_UPDATE'), tablet.of('DATA_DELETE')]).toEqual([[], []]);
  });

  test('the sender is corrected when the merge differs from what it sent', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    tablet.update('notes', { id: 'n1', text: 'x' });
    await tablet.saved();
    desk.update('notes', { id: 'n1', by: 'desk' });
    await desk.saved();
    expect(desk.of('DATA_UPDATE').at(-1)).toEqual({
      type: 'DATA_UPDATE',
      data: { collection: 'notes', document: { id: 'n1', text: 'x', by: 'desk' } },
      timestamp: expect.any(Number),
      fromDevice: 'server',
    });
  });

  test('a FULL_SYNC that crosses a write would undo it at the device: a correction follows', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('notes', { id: 'n1', text: 'old' });
    await tablet.saved();
    await tablet.heard();
    // A device that answers no pings: what it was sent is on its way for as long as it takes.
    const slow = openJson(server, 'anna', 'slow', { autoPong: false });
    await slow.next('CONNECTION_CONFIRMED');
    slow.update('notes', { id: 'n1', text: 'new' });
    slow.delete('notes', 'n1');
    await slow.saved();
    const corrections = slow.messages.filter(({ fromDevice }) => fromDevice === 'server');
    expect(corrections.slice(0, 2)).toMatchObject([
      { type: 'DATA_UPDATE', data: { document: { id: 'n1', text: 'new' } } },
      { type: 'DATA_DELETE', data: { documentId: 'n1' } },
    ]);
    expect(slow.store.notes).toEqual({});
  });

  test('a FULL_SYNC that was asked for before a write and comes after it is followed by the write', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    await Promise.all([tablet.saved(), desk.saved()]);
    memory.hold();
    desk.update('notes', { id: 'other' });
    await store.until(() => store.commits === 1);
    tablet.requestSync();
    tablet.update('notes', { id: 'n1', text: 'mine' }, { ack: 'saved' });
    await store.until(() => store.commits === 2);
    memory.release();
    await tablet.until(() => tablet.of('ACK').some(({ ack }) => ack === 'saved'));
    expect(tablet.of('FULL_SYNC')).toHaveLength(2);
    expect(tablet.of('FULL_SYNC')[1]?.data).toMatchObject({ notes: [{ id: 'other' }] });
    expect(tablet.store.notes).toEqual({ other: { id: 'other' }, n1: { id: 'n1', text: 'mine' } });
  });

  test('two writes of one field that cross: both devices end with the same record', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    for (let round = 0; round < 20; round++) {
      tablet.update('notes', { id: 'n1', text: `tablet ${round}` });
      desk.update('notes', { id: 'n1', text: `desk ${round}` });
    }
    await Promise.all([tablet.saved(), desk.saved()]);
    await Promise.all([tablet.saved(), desk.saved()]);
    const response = await fetch(`${server.url}/api/sync/anna`);
    const { notes } = (await response.json()) as { notes: unknown[] };
    expect(tablet.store.notes?.n1).toEqual(notes[0]);
    expect(desk.store.notes?.n1).toEqual(notes[0]);
  });
});

describe('[L9] DATA_DELETE', () => {
  test('deletes; of what is not there it is no error, and nobody hears of it', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    tablet.update('notes', { id: 'n1' });
    tablet.delete('notes', 'n1');
    tablet.delete('notes', 'n1');
    tablet.delete('never', 'seen', { ack: 'three' });
    await tablet.next('ACK');
    await desk.saved();
    expect(desk.of('DATA_DELETE').filter(({ data }) => data.collection !== 'appointments')).toHaveLength(1);
    expect(tablet.of('ERROR')).toEqual([]);
    desk.requestSync();
    await desk.until(() => desk.of('FULL_SYNC').length === 2);
    expect(Object.keys(desk.of('FULL_SYNC')[1]?.data ?? {})).not.toContain('never');
  });
});

describe('[L11] acknowledgements', () => {
  test('ACK comes to the sender alone, once the message is durable, and in order', async () => {
    const memory = new MemoryStore();
    const store = new ObservedStore(memory);
    const server = await useUnpaced({}, { store });
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    memory.hold();
    tablet.update('notes', { id: 'n1' }, { ack: 'a' });
    tablet.delete('notes', 'n1', { ack: 'b' });
    tablet.requestSync({ ack: '' });
    await tablet.heard();
    expect(tablet.of('ACK')).toEqual([]);
    memory.release();
    await tablet.until(() => tablet.of('ACK').length === 3);
    expect(tablet.of('ACK')).toEqual(['a', 'b', ''].map((ack) => ({ type: 'ACK', ack })));
    await desk.heard();
    expect(desk.of('ACK')).toEqual([]);
    expect(JSON.stringify(desk.messages)).not.toContain('"ack"');
  });

  test('a refused message gets no ACK', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    tablet.update('notes', { noId: true }, { ack: 'never' });
    await tablet.next('ERROR');
    await tablet.saved();
    expect(tablet.of('ACK').map(({ ack }) => ack)).not.toContain('never');
  });
});

describe('[D6] ids', () => {
  test('a number keys by its decimal string, is one record with it, and keeps its type', async () => {
    const server = await useUnpaced();
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    tablet.update('notes', { id: 7, text: 'x' });
    tablet.update('notes', { id: -3 });
    await tablet.saved();
    expect(desk.store.notes).toEqual({ '7': { id: 7, text: 'x' }, '-3': { id: -3 } });
    desk.update('notes', { id: '7', by: 'desk' });
    await desk.saved();
    expect(desk.store.notes?.['7']).toEqual({ id: 7, text: 'x', by: 'desk' });
    const phone = await useNative(server, 'anna', 'phone');
    expect(phone.json().notes).toEqual({ '7': { id: 7, text: 'x', by: 'desk' }, '-3': { id: -3 } });
    tablet.delete('notes', 7);
    await tablet.saved();
    expect(Object.keys(desk.store.notes ?? {})).toEqual(['-3']);
  });

  test('a record that a native device wrote without an id, or with another one, has that of its key', async () => {
    const server = await useUnpaced();
    const phone = await useNative(server, 'anna', 'phone');
    const desk = await useJson(server, 'anna', 'desk');
    phone.record('notes', 'n1').set('text', 'x');
    phone.record('notes', 'n2').set('id', 'n1');
    phone.record('notes', '8').set('id', 8);
    await phone.saved();
    await desk.saved();
    expect(desk.store.notes).toEqual({ n1: { id: 'n1', text: 'x' }, n2: { id: 'n2' }, '8': { id: 8 } });
  });
});
