/** A document that is full: what is refused, and what goes on (S4). */
import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { encodeExchange } from '../../../server/protocol/exchange.js';
import { messages } from '../../../server/protocol/yjs.js';
import { ConnectedDevice } from '../../support/devices/connected-device.js';
import type { TestServer } from '../../support/server.js';
import { openNative, useJson, useNative, useRaw, useServer } from '../../support/use.js';

/** An update of exactly so many bytes, for a document that has nothing of this client. */
function sized(bytes: number, client = 7): Uint8Array {
  const build = (length: number) => {
    const doc = new Y.Doc();
    doc.clientID = client;
    doc.getMap('notes').set(`n${client}`, new Y.Map([['text', 'x'.repeat(length)]]));
    return Y.encodeStateAsUpdate(doc);
  };
  return build(bytes - (build(bytes).length - bytes));
}

const records = async (server: TestServer): Promise<{ readonly notes?: readonly { id: string }[] }> =>
  (await fetch(`${server.url}/api/sync/anna`)).json() as Promise<{ notes?: { id: string }[] }>;

const idsOf = async (server: TestServer): Promise<string[]> =>
  ((await records(server)).notes ?? []).map(({ id }) => id).sort();

describe('[S4] MAX_DOCUMENT, native', () => {
  test('an update that fills it is taken, one that is a byte longer closes with 1009', async () => {
    const server = await useServer({ MAX_DOCUMENT: '5000' });
    const [fits, other] = [await useRaw(server, 'anna', 'a'), await useRaw(server, 'bert', 'b')];
    expect(sized(5_000)).toHaveLength(5_000);
    fits.send(messages.update(sized(5_000)));
    fits.send(messages.checkpoint(1));
    await fits.next('checkpoint');
    other.send(messages.update(sized(5_001)));
    expect(await other.end()).toEqual({ code: 1009, reason: expect.stringMatching(/delete something/) });
    expect(await idsOf(server)).toEqual(['n7']);
    expect(await (await fetch(`${server.url}/api/sync/bert`)).json()).not.toHaveProperty('notes');
  });

  test('what is sent again, and what is empty, is no growth', async () => {
    const server = await useServer({ MAX_DOCUMENT: '5000' });
    const raw = await useRaw(server, 'anna', 'a');
    for (let n = 0; n < 3; n++) raw.send(messages.update(sized(5_000)));
    raw.send(messages.checkpoint(1));
    await raw.next('checkpoint');
    expect(raw.closed).toBeNull();
  });

  test('deletions are taken, everybody can read, and then there is room again', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB' });
    const full = await useNative(server, 'anna', 'phone');
    for (let n = 0; n < 4; n++) full.record('notes', `n${n}`).set('text', 'x'.repeat(4_500));
    await full.saved();
    const reader = await useNative(server, 'anna', 'tablet');
    expect(reader.json()).toEqual(full.json());
    full.doc.getMap('notes').delete('n0');
    await full.saved();
    full.record('notes', 'n9').set('text', 'x'.repeat(4_500));
    await full.saved();
    expect(await idsOf(server)).toEqual(['n1', 'n2', 'n3', 'n9']);
    expect(full.connections).toBe(1);
  });

  test('an unmodified provider keeps what was refused, is not let in without end, and syncs when it has deleted', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB' });
    const device = await useNative(server, 'anna', 'phone');
    for (let n = 0; n < 4; n++) device.record('notes', `n${n}`).set('text', 'x'.repeat(4_500));
    await device.saved();
    const before = device.json();
    device.record('notes', 'n8').set('text', 'y'.repeat(4_500));
    await expect.poll(() => device.connections, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    expect(device.json()).toEqual({ notes: { ...before.notes, n8: { text: 'y'.repeat(4_500) } } });
    device.doc.getMap('notes').delete('n0');
    device.doc.getMap('notes').delete('n1');
    await expect.poll(() => idsOf(server), { timeout: 10_000 }).toEqual(['n2', 'n3', 'n8']);
  });

  test('[N8] three such closes in a minute, and upgrades of that device get 429; reading over HTTP goes on', async () => {
    const server = await useServer({ MAX_DOCUMENT: '5000' });
    for (let n = 0; n < 3; n++) {
      const raw = await useRaw(server, 'anna', 'phone');
      raw.send(messages.update(sized(5_001)));
      expect((await raw.end()).code).toBe(1009);
    }
    const again = openNative(server, 'anna', 'phone');
    await expect.poll(() => again.connections).toBe(0);
    expect((await fetch(`${server.url}/api/sync/anna`)).status).toBe(200);
    await useNative(server, 'anna', 'tablet');
  });
});

test('[S4] MAX_DOCUMENT_STRUCTS: at the limit it is taken, one past it not', async () => {
  const server = await useServer({ MAX_DOCUMENT_STRUCTS: '10' });
  const fields = (count: number) => {
    const doc = new Y.Doc();
    doc.transact(() => {
      const map = doc.getMap('notes').set('n1', new Y.Map<unknown>()) as Y.Map<unknown>;
      for (let n = 1; n < count; n++) map.set(`f${n}`, n);
    });
    return messages.update(Y.encodeStateAsUpdate(doc));
  };
  const [fits, other] = [await useRaw(server, 'anna', 'a'), await useRaw(server, 'bert', 'b')];
  fits.send(fields(10));
  fits.send(messages.checkpoint(1));
  await fits.next('checkpoint');
  other.send(fields(11));
  expect((await other.end()).code).toBe(1009);
});

describe('[S4] a document that was filled is emptied by deleting', () => {
  const NO_RATES = { MESSAGE_RATE: '0', BYTE_RATE: '0' };

  test('a thousand records that came and went leave room for twenty', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB', ...NO_RATES });
    const device = await useJson(server, 'anna', 'old');
    for (let n = 0; n < 1_000; n++) {
      const id = randomUUID();
      device.update('notes', { id });
      device.delete('notes', id);
    }
    for (let n = 0; n < 20; n++) device.update('notes', { id: randomUUID() });
    await device.saved();
    expect(device.of('ERROR')).toEqual([]);
    expect(await idsOf(server)).toHaveLength(20);
  });

  test('filled and emptied again and again, over HTTP and by a native device', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB', MAX_DOCUMENT_STRUCTS: '400', ...NO_RATES });
    const device = await useNative(server, 'anna', 'phone');
    const json = await useJson(server, 'anna', 'desk');
    for (let round = 0; round < 10; round++) {
      device.doc.transact(() => {
        for (let n = 0; n < 80; n++) device.record('notes', `${round} ${n}`).set('text', 'x'.repeat(100));
      });
      await device.saved();
      if (round % 2 === 0) for (let n = 0; n < 80; n++) json.delete('notes', `${round} ${n}`);
      else device.doc.transact(() => device.doc.getMap('notes').clear());
      await Promise.all([json.saved(), device.saved()]);
      await device.until(() => device.doc.getMap('notes').size === 0);
    }
    expect([device.connections, json.of('ERROR')]).toEqual([1, []]);
  });

  test('600 updates of two fields fit into 500 structs', async () => {
    const server = await useServer({ MAX_DOCUMENT_STRUCTS: '500', ...NO_RATES });
    const device = await useNative(server, 'anna', 'watch');
    const vitals = device.record('vitals', 'v');
    for (let n = 0; n < 600; n++) {
      device.doc.transact(() => {
        vitals.set('hr', n);
        vitals.set('spo2', n);
      });
    }
    await device.saved();
    expect(device.connections).toBe(1);
  });

  test('[C4] also by our client that filled it, however many changes wait: their sum is what counts', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB', ...NO_RATES });
    const filled = await useJson(server, 'anna', 'desk');
    filled.update('notes', { id: 'kept', text: 'x'.repeat(9_000) });
    await filled.saved();
    const phone = new ConnectedDevice(server.url, 'anna');
    onTestFinished(() => phone.close());
    await phone.online();
    phone.source.create('notes', 'large', { text: 'y'.repeat(12_000) });
    await phone.until(() => phone.report?.error?.code === 'REFUSED');
    for (let n = 0; n < 500; n++) phone.source.create('notes', `n${n}`, { text: 'z'.repeat(50) });
    for (let n = 0; n < 500; n++) phone.source.write((doc) => doc.getMap('notes').delete(`n${n}`));
    phone.source.write((doc) => doc.getMap('notes').delete('large'));
    phone.source.create('notes', 'last', { text: 'here' });
    phone.connection.retryNow();
    await phone.until(() => phone.source.pending.length === 0);
    expect(await idsOf(server)).toEqual(['kept', 'last']);
  });
});

describe('[S4] MAX_DOCUMENT, JSON devices', () => {
  test('[L10 L11] a write that does not fit gets ERROR with its ack; the connection stays, however many there are', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB' });
    const device = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 4; n++) device.update('notes', { id: `n${n}`, text: 'x'.repeat(4_500) });
    await device.saved();
    for (let n = 0; n < 30; n++)
      device.update('notes', { id: 'n8', text: 'x'.repeat(4_500) }, { ack: `refused ${n}` });
    await device.saved();
    const errors = device.of('ERROR');
    expect(errors.map(({ code, ack }) => [code, ack])).toEqual(
      Array.from({ length: 30 }, (_, n) => ['DOCUMENT_FULL', `refused ${n}`]),
    );
    expect([device.closed, await idsOf(server)]).toEqual([null, ['n0', 'n1', 'n2', 'n3']]);
  });

  test('fields that are not changed cost nothing, what shrinks is taken, deletions are', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB' });
    const device = await useJson(server, 'anna', 'phone');
    for (let n = 0; n < 4; n++) device.update('notes', { id: `n${n}`, text: 'x'.repeat(4_700), n });
    device.update('notes', { id: 'n0', text: 'x'.repeat(4_700), n: 7 });
    device.update('notes', { id: 'n1', text: 'x'.repeat(1_000), n: 1 });
    device.delete('notes', 'n2');
    await device.saved();
    device.update('notes', { id: 'n9', text: 'x'.repeat(4_500) });
    await device.saved();
    expect([device.of('ERROR'), await idsOf(server)]).toEqual([[], ['n0', 'n1', 'n3', 'n9']]);
  });
});

describe('[S4] MAX_DOCUMENT over HTTP', () => {
  const update = (id: string, length: number) => ({
    type: 'DATA_UPDATE',
    data: { collection: 'notes', document: { id, text: 'x'.repeat(length) }, timestamp: Date.now() },
    userId: 'anna',
    deviceId: 'phone',
  });
  const post = (server: TestServer, path: string, body: string | Uint8Array<ArrayBuffer>) =>
    fetch(`${server.url}${path}`, { method: 'POST', body });

  test('[H2] a batch that does not fit is refused as a whole, and tells where', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB' });
    const changes = ['n0', 'n1', 'n2', 'n3', 'n4'].map((id) => update(id, 4_500));
    const refused = await post(server, '/api/sync/anna', JSON.stringify({ changes }));
    expect([refused.status, await refused.json()]).toEqual([
      413,
      expect.objectContaining({ code: 'DOCUMENT_FULL', index: 4 }),
    ]);
    expect(await idsOf(server)).toEqual([]);
    const taken = await post(server, '/api/sync/anna', JSON.stringify({ changes: changes.slice(0, 4) }));
    expect(taken.status).toBe(200);
  });

  test('[H3] an exchange that does not fit gets 413 and changes nothing; reading by it goes on', async () => {
    const server = await useServer({ MAX_DOCUMENT: '5000' });
    const give = (update: Uint8Array) =>
      post(
        server,
        '/api/yjs/anna',
        new Uint8Array(encodeExchange({ stateVector: Uint8Array.of(0), update })),
      );
    const refused = await give(sized(5_001));
    expect([refused.status, await refused.json()]).toEqual([
      413,
      expect.objectContaining({ code: 'DOCUMENT_FULL' }),
    ]);
    expect((await give(sized(5_000))).status).toBe(200);
    expect((await give(sized(100, 8))).status).toBe(413);
    expect((await give(new Uint8Array(0))).status).toBe(200);
    expect(await idsOf(server)).toEqual(['n7']);
  });

  test('[H6] a record that does not fit any more is not restored', async () => {
    const server = await useServer({ MAX_DOCUMENT: '20 KB' });
    const device = await useJson(server, 'anna', 'desk');
    device.update('notes', { id: 'n0', text: 'x'.repeat(9_000) });
    device.delete('notes', 'n0');
    device.update('notes', { id: 'n1', text: 'x'.repeat(15_000) });
    await device.saved();
    const restored = await post(
      server,
      '/api/history/anna/restore',
      JSON.stringify({ collection: 'notes', id: 'n0', revision: 1 }),
    );
    expect([restored.status, await idsOf(server)]).toEqual([413, ['n1']]);
  });
});
