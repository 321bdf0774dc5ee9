/** Names that no new record may have, and those that stand in documents from before (D6). */
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { UserId } from '../../../shared/names.js';
import { closeClients, synced, testClient } from '../../support/devices/test-client.js';
import { rawUpdate, rootItem } from '../../support/hostile.js';
import { openNative, useJson, useNative, useServer } from '../../support/use.js';

const HIDDEN = ['a\u202eevil', 'b\u2066c', '\u200b', 'می\u200cخواهم', '👩\u200d⚕️', 'a\u2028b', '\ufeffid'];
const HALVES = ['x\ud83d', '\ude00x'];

/** A server with a document from before there was the rule. */
async function useOldDocument() {
  const old = new Y.Doc();
  const records = old.getMap('می\u200cخواهم');
  records.set(
    '👩\u200d⚕️',
    new Y.Map(Object.entries({ 'a\u200bb': 1, plain: { 'c\u202ed': 1, 'bell\u0007': 2 } })),
  );
  records.set('other', new Y.Map(Object.entries({ n: 1 })));
  const store = new MemoryStore();
  await store.load('anna' as UserId);
  await store.commit('anna' as UserId, { update: Y.encodeStateAsUpdate(old), revision: 1 });
  return { server: await useServer({}, { store }), old };
}

describe('[D6] a new name that can not be seen, or is half a character', () => {
  test.each([...HIDDEN, ...HALVES])(
    '%j is refused by the JSON door as any name, and nothing is stored',
    async (name) => {
      const server = await useServer();
      const json = await useJson(server, 'anna', 'phone');
      json.update(name, { id: 'a' });
      json.update('notes', { id: name });
      json.update('notes', { id: 'b', [name]: 1 });
      json.update('notes', { id: 'b', list: [{ deep: { [name]: 1 } }] });
      json.update('notes', { id: 'c' });
      await json.saved();
      expect(json.of('ERROR').map(({ code }) => code)).toEqual(Array(4).fill('INVALID_NAME'));
      expect((await useJson(server, 'anna', 'desk')).store.notes).toEqual({ c: { id: 'c' } });
    },
  );

  test.each(HIDDEN)(
    '%j is refused from a native device, with the cause, and over HTTP with the place',
    async (name) => {
      const server = await useServer();
      for (const update of [
        rawUpdate([[1, 0, [rootItem(8, [1, 126], 'a', name)]]]),
        rawUpdate([[1, 0, [rootItem(8, [1, 126], name)]]]),
      ]) {
        const native = openNative(server, 'anna', 'laptop', { doc: docOf(update) });
        await native.until(() => native.closes.length > 0);
        expect(native.closes[0]).toBe(1007);
        native.provider.destroy();
      }
      const data = (id: string) => ({ collection: 'notes', document: { id } });
      const change = (id: string) => ({ type: 'DATA_UPDATE', data: data(id), userId: 'anna', deviceId: 'd' });
      const body = JSON.stringify({ changes: [change('fine'), change(name)] });
      const answer = await fetch(`${server.url}/api/sync/anna`, { method: 'POST', body });
      expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'INVALID_NAME', index: 1 }]);
      expect((await useJson(server, 'anna', 'desk')).store).not.toHaveProperty('notes');
    },
  );

  test('the client refuses it before anything changes, by the same rule [C1]', async () => {
    const client = testClient();
    onTestFinished(closeClients);
    await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
    for (const name of [...HIDDEN, ...HALVES]) {
      for (const write of [
        () => client.addData(name, { id: 'a' }),
        () => client.addData('notes', { id: name }),
        () => client.addData('notes', { id: 'a', [name]: 1 }),
        () => client.addData('notes', { id: 'a', deep: [{ [name]: 1 }] }),
      ]) {
        await expect(write()).rejects.toMatchObject({ code: 'INVALID_NAME' });
      }
    }
    expect(client.getSyncStatus().pendingChanges).toBe(0);
  });

  test('deleting what can not be there is no error; half a character is', async () => {
    const json = await useJson(await useServer(), 'anna', 'phone');
    json.delete('notes', 'a\u200bb');
    json.delete('notes', 'x\ud83d');
    await json.saved();
    expect(json.of('ERROR').map(({ code }) => code)).toEqual(['INVALID_NAME']);
  });
});

describe('[D6] such a name from before', () => {
  test('is shown, its record can be sent back changed, and deleted, by JSON devices', async () => {
    const { server } = await useOldDocument();
    const [phone, desk] = [await useJson(server, 'anna', 'phone'), await useJson(server, 'anna', 'desk')];
    const record = phone.store['می\u200cخواهم']?.['👩\u200d⚕️'];
    expect(record).toMatchObject({ 'a\u200bb': 1, plain: { 'c\u202ed': 1, 'bell\u0007': 2 } });
    phone.update('می\u200cخواهم', {
      ...record,
      'a\u200bb': 2,
      plain: { 'c\u202ed': 5, 'bell\u0007': 2 },
      more: 1,
    });
    phone.update('می\u200cخواهم', { id: 'new' });
    await phone.saved();
    await desk.until(() => desk.store['می\u200cخواهم']?.new !== undefined);
    expect(desk.store['می\u200cخواهم']?.['👩\u200d⚕️']).toMatchObject({
      'a\u200bb': 2,
      plain: { 'c\u202ed': 5 },
      more: 1,
    });
    desk.delete('می\u200cخواهم', '👩\u200d⚕️');
    await desk.saved();
    await phone.until(() => phone.store['می\u200cخواهم']?.['👩\u200d⚕️'] === undefined);
    expect([...phone.of('ERROR'), ...desk.of('ERROR')]).toEqual([]);
  });

  test('is edited by native devices that have it, also offline, and another one beside it is refused', async () => {
    const { server, old } = await useOldDocument();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(old));
    const offline = doc.getMap<Y.Map<unknown>>('می\u200cخواهم');
    offline.get('👩\u200d⚕️')?.set('a\u200bb', 3);
    offline.set('third', new Y.Map(Object.entries({ 'a\u200bb': 1 })));
    const native = await useNative(server, 'anna', 'laptop', { doc });
    await native.saved();
    offline.delete('other');
    await native.saved();
    const desk = await useJson(server, 'anna', 'desk');
    expect(desk.store['می\u200cخواهم']).toMatchObject({
      '👩\u200d⚕️': { 'a\u200bb': 3 },
      third: { 'a\u200bb': 1 },
    });
    expect(desk.store['می\u200cخواهم']).not.toHaveProperty('other');
    offline.get('third')?.set('new\u200bone', 1);
    await native.until(() => native.closes.length > 0);
    expect(native.closes[0]).toBe(1007);
  });

  test('[H6] is back after a restore, and can be edited again', async () => {
    const { server, old } = await useOldDocument();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(old));
    const native = await useNative(server, 'anna', 'laptop', { doc });
    const records = doc.getMap<Y.Map<unknown>>('می\u200cخواهم');
    records.get('👩\u200d⚕️')?.set('n', 1);
    await native.saved();
    for (const id of [...records.keys()]) records.delete(id);
    await native.saved();
    // The document is looked through while the names of the fields are in its history alone.
    const json = await useJson(server, 'anna', 'phone');
    json.update('notes', { id: 'n1', 'a\u200bb': 1 });
    await json.saved();
    expect(json.of('ERROR')).toMatchObject([{ code: 'INVALID_NAME' }]);
    const restored = await fetch(`${server.url}/api/history/anna/restore`, {
      method: 'POST',
      body: JSON.stringify({ collection: 'می\u200cخواهم', id: '👩\u200d⚕️', revision: 2 }),
    });
    expect(restored.status).toBe(200);
    await native.until(() => records.has('👩\u200d⚕️'));
    doc.transact(() => records.set('more', new Y.Map(Object.entries({ 'a\u200bb': 2 }))));
    await native.saved();
    json.update('notes', { id: 'n1', 'a\u200bb': 1 });
    await json.saved();
    expect([native.closes, json.of('ERROR').length]).toEqual([[], 1]);
  });

  test('is edited and deleted by our client, which has it from the server', async () => {
    const { server } = await useOldDocument();
    const client = testClient();
    onTestFinished(closeClients);
    await client.initialize({ serverUrl: server.url, userId: 'anna' });
    await synced(client);
    await client.updateData('می\u200cخواهم', '👩\u200d⚕️', { 'a\u200bb': 4 });
    await client.addData('می\u200cخواهم', { id: 'new', 'a\u200bb': 1 });
    await client.deleteData('می\u200cخواهم', 'other');
    await expect(client.addData('می\u200cخواهم', { id: 'other\u200b' })).rejects.toMatchObject({
      code: 'INVALID_NAME',
    });
    await synced(client);
    const desk = await useJson(server, 'anna', 'desk');
    expect(desk.store['می\u200cخواهم']).toMatchObject({
      '👩\u200d⚕️': { 'a\u200bb': 4 },
      new: { 'a\u200bb': 1 },
    });
    expect(desk.store['می\u200cخواهم']).not.toHaveProperty('other');
  });
});

function docOf(update: Uint8Array): Y.Doc {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  return doc;
}
