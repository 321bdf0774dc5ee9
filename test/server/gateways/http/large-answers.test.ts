/** Answers with all of a large document are made in steps, so that nobody else waits for them. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { Slices } from '../../../../server/documents/loading/slices.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { JsonSession } from '../../../../server/gateways/json/session.js';
import { decodeExchange, encodeExchange } from '../../../../server/protocol/exchange.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { ServerMessage } from '../../../support/devices/json-words.js';
import { docOf } from '../../../support/large-document.js';
import { user } from '../../../support/notes.js';
import { client } from '../../../support/replicas.js';
import type { TestServer } from '../../../support/server.js';
import { openJson, useJson, useServer } from '../../../support/use.js';

const ANNA = user('anna');
const ADMIN_TOKEN = 'an-admin-token-of-32-characters!!';
const NOTHING = new Uint8Array(0);
const EMPTY_DOCUMENT = Uint8Array.of(0);

afterEach(() => {
  vi.restoreAllMocks();
});

const post = (
  { url }: TestServer,
  stateVector: Uint8Array,
  update: Uint8Array = NOTHING,
  signal?: AbortSignal,
) =>
  fetch(`${url}/api/yjs/anna?rewrites=1`, {
    method: 'POST',
    headers: { 'Device-ID': 'phone' },
    body: Buffer.from(encodeExchange({ stateVector, update })),
    signal: signal ?? null,
  });

const answerOf = async (response: Response) => {
  expect(response.status).toBe(200);
  return decodeExchange(new Uint8Array(await response.arrayBuffer()));
};

/** A server with a large document of anna; the steps of each work that it does from now on. */
async function useLarge() {
  const store = new MemoryStore();
  const doc = docOf(8_000);
  await store.load(ANNA);
  await store.commit(ANNA, { update: Y.encodeStateAsUpdate(doc), revision: 1 });
  const server = await useServer({ JSON_PACE: '0', ADMIN_TOKEN }, { store });
  await answerOf(await post(server, NOTHING)); // it is loaded
  const works: { steps: number; end: Promise<unknown> }[] = [];
  const { run } = Slices.prototype;
  vi.spyOn(Slices.prototype, 'run').mockImplementation(function (this: Slices, user, steps, ...how) {
    const work = { steps: 0, end: Promise.resolve() as Promise<unknown> };
    const counted = (function* () {
      for (;;) {
        const { done, value } = steps.next();
        work.steps++;
        if (done === true) return value;
        yield;
      }
    })();
    works.push(work);
    const end = run.call(this, user, counted, ...how);
    work.end = end;
    return end as never;
  });
  return { server, doc, works };
}

describe('[H3] [S4] POST /api/yjs of a large document', () => {
  test('is encoded in steps for who has nothing, at once for who lacks little', async () => {
    const { server, doc, works } = await useLarge();
    const { update, stateVector } = await answerOf(await post(server, EMPTY_DOCUMENT));
    expect(works.map(({ steps }) => steps > 2)).toEqual([true]);
    const copy = client(2);
    Y.applyUpdate(copy, update);
    expect(copy.getMap('patients').toJSON()).toEqual(doc.getMap('patients').toJSON());
    expect(stateVector).toEqual(Y.encodeStateVector(doc));
    const nothing = await answerOf(await post(server, stateVector));
    expect([nothing.update.length, works.length]).toEqual([2, 1]);
  });

  test('is not gone on with where the client has gone', async () => {
    const { server, works } = await useLarge();
    const leaving = new AbortController();
    const { diffInSteps } = UserDocument.prototype;
    vi.spyOn(UserDocument.prototype, 'diffInSteps').mockImplementation(function (
      this: UserDocument,
      stateVector,
      isWanted,
    ) {
      leaving.abort();
      return new Promise((resolve) => setTimeout(resolve, 0))
        .then(() => expect.poll(() => isWanted?.()).toBe(false))
        .then(() => diffInSteps.call(this, stateVector, isWanted));
    });
    await expect(post(server, EMPTY_DOCUMENT, NOTHING, leaving.signal)).rejects.toThrow('aborted');
    await expect.poll(() => works.length).toBe(1);
    await expect(works[0]?.end).rejects.toMatchObject({ code: 'RESTARTING' });
    expect(works[0]?.steps).toBe(0);
  });

  test('[P7] is refused with 410 where its user is erased meanwhile', async () => {
    const { server } = await useLarge();
    const { diffInSteps } = UserDocument.prototype;
    let erased: Promise<unknown> | null = null;
    let begun = 0;
    vi.spyOn(UserDocument.prototype, 'diffInSteps').mockImplementation(function (this: UserDocument, ...all) {
      if (++begun > 100) throw new Error('It is begun for ever.');
      erased ??= server.app.erase(ANNA);
      return vi
        .waitUntil(() => this.isPaused || this.failure !== null, { interval: 1 })
        .then(() => diffInSteps.apply(this, all));
    });
    const response = await post(server, EMPTY_DOCUMENT);
    expect([response.status, await response.json()]).toMatchObject([410, { code: 'ERASED' }]);
    await erased;
  });

  test('[P10] is that of the new document where it was written anew meanwhile', async () => {
    const { server, doc } = await useLarge();
    const { diffInSteps } = UserDocument.prototype;
    vi.spyOn(UserDocument.prototype, 'diffInSteps').mockImplementationOnce(function (
      this: UserDocument,
      stateVector,
    ) {
      const before = diffInSteps.call(this, stateVector);
      return this.rewriting.run(77, () => {}).then(() => before);
    });
    const { update, stateVector } = await answerOf(await post(server, EMPTY_DOCUMENT));
    expect([...Y.decodeStateVector(stateVector).keys()]).toEqual([77]);
    const copy = client(2);
    Y.applyUpdate(copy, update);
    expect([...copy.store.clients.keys()]).toEqual([77]);
    expect(copy.getMap('patients').toJSON()).toEqual(doc.getMap('patients').toJSON());
  });
});

const STANDARD = { appointments: [], consultations: [], prescriptions: [], medicalRecords: [] };

/** Its records as they are shown, with these changed. */
function shownOf(doc: Y.Doc, changed: Readonly<Record<string, string>> = {}) {
  const patients = doc.getMap('patients').toJSON() as Record<string, { name: string }>;
  const all = Object.entries(patients).map(([id, { name }]) => ({ id, name: changed[id] ?? name }));
  return { ...STANDARD, patients: all };
}

/** Who asks for all records has gone when they are to be written. */
function leavingThen(leaving: AbortController) {
  const { writeRecords } = UserDocument.prototype;
  return vi.spyOn(UserDocument.prototype, 'writeRecords').mockImplementation(function (
    this: UserDocument,
    isWanted,
  ) {
    leaving.abort();
    return expect
      .poll(() => isWanted?.())
      .toBe(false)
      .then(() => writeRecords.call(this, isWanted) ?? expect.fail('It is large.'));
  });
}

describe('[S4] the records of a large document are written in steps', () => {
  test('[H1] [H2] for GET and POST /api/sync, which shows what it brings', async () => {
    const { server, doc, works } = await useLarge();
    const url = `${server.url}/api/sync/anna`;
    const headers = { 'Device-ID': 'phone' };
    expect(await (await fetch(url, { headers })).text()).toBe(JSON.stringify(shownOf(doc)));
    const document = { id: 'p7', name: 'changed' };
    const change = { type: 'DATA_UPDATE', userId: 'anna', deviceId: 'phone' };
    const data = { collection: 'patients', document, timestamp: Date.now() };
    const body = JSON.stringify({ changes: [{ ...change, data, timestamp: Date.now() }] });
    const posted = await fetch(url, { method: 'POST', headers, body });
    expect(await posted.json()).toEqual(shownOf(doc, { p7: 'changed' }));
    expect(works.map(({ steps }) => steps > 2)).toEqual([true, true]);
  });

  test('[L1] for a JSON device, behind which comes what it writes meanwhile', async () => {
    const { server, doc, works } = await useLarge();
    const tablet = await useJson(server, 'anna', 'tablet');
    expect(tablet.messages.map(({ type }) => type)).toEqual(['FULL_SYNC', 'CONNECTION_CONFIRMED']);
    expect(tablet.of('FULL_SYNC')[0]?.data).toEqual(shownOf(doc));
    tablet.requestSync();
    tablet.update('patients', { id: 'p7', name: 'changed' });
    await tablet.saved();
    await tablet.until(() => tablet.of('FULL_SYNC').length === 2);
    expect(tablet.of('FULL_SYNC')[1]?.data).toEqual(shownOf(doc));
    const desk = await useJson(server, 'anna', 'desk');
    expect(desk.of('FULL_SYNC')[0]?.data).toEqual(shownOf(doc, { p7: 'changed' }));
    expect(works.map(({ steps }) => steps > 2)).toEqual([true, true, true]);
  });

  test('[H1] not to the end where the client has gone', async () => {
    const { server, works } = await useLarge();
    const leaving = new AbortController();
    leavingThen(leaving);
    const asked = fetch(`${server.url}/api/sync/anna`, { signal: leaving.signal });
    await expect(asked).rejects.toThrow('aborted');
    await expect.poll(() => works.length).toBe(1);
    await expect(works[0]?.end).rejects.toMatchObject({ code: 'RESTARTING' });
    expect(works[0]?.steps).toBe(0);
  });

  test('[H2] not for a client that has gone, whose changes are saved all the same', async () => {
    const { server, works } = await useLarge();
    const leaving = new AbortController();
    const url = `${server.url}/api/sync/anna`;
    const headers = { 'Device-ID': 'phone' };
    await (await fetch(url, { headers })).text(); // it has seen the record
    const asked = leavingThen(leaving);
    const change = { type: 'DATA_UPDATE', userId: 'anna', deviceId: 'phone', timestamp: Date.now() };
    const data = { collection: 'patients', document: { id: 'p7', name: 'changed' }, timestamp: Date.now() };
    const posted = fetch(url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ changes: [{ ...change, data }] }),
      signal: leaving.signal,
    });
    await expect(posted).rejects.toThrow('aborted');
    await expect.poll(() => works.length).toBe(2);
    await expect(works[1]?.end).rejects.toMatchObject({ code: 'RESTARTING' });
    asked.mockRestore();
    const { patients } = (await (await fetch(url)).json()) as {
      patients: { id: string }[];
    };
    expect(patients.find(({ id }) => id === 'p7')).toEqual({ id: 'p7', name: 'changed' });
  });

  test('[H4] for the operator; the export has the same', async () => {
    const { server, doc, works } = await useLarge();
    const headers = { Authorization: `Bearer ${ADMIN_TOKEN}` };
    const records = await fetch(`${server.url}/admin/api/users/anna/records`, { headers });
    expect(await records.json()).toEqual({
      user: 'anna',
      revision: expect.any(Number),
      collections: shownOf(doc),
    });
    expect(works.map(({ steps }) => steps > 2)).toEqual([true]);
    const exported = await fetch(`${server.url}/api/users/anna/export`);
    expect(await exported.json()).toMatchObject({ userId: 'anna', collections: shownOf(doc) });
  });
});

/** Who asks for all records from now on has them made only when the gate is opened. */
function useGate() {
  const gate = { asked: 0, document: null as UserDocument | null, open: () => {} };
  const opened = new Promise<void>((resolve) => {
    gate.open = resolve;
  });
  const { writeRecords } = UserDocument.prototype;
  vi.spyOn(UserDocument.prototype, 'writeRecords').mockImplementation(function (
    this: UserDocument,
    isWanted,
  ) {
    gate.asked++;
    gate.document = this;
    const texts = writeRecords.call(this, isWanted) ?? expect.fail('It is large.');
    return texts.then((made) => opened.then(() => made));
  });
  return gate;
}

const patient = (n: number) => ({ id: `p${n}`, name: 'changed' });
const isOf = (id: string) => (message: ServerMessage) =>
  message.type === 'DATA_UPDATE' && message.data.document.id === id;

describe('[S4] while all records of a large document are written, the other devices of its user go on', () => {
  /** The phone of anna writes, and her desk reads it, while the tablet waits for all records. */
  async function useThree() {
    const { server, doc, works } = await useLarge();
    const [phone, desk] = [await useJson(server, 'anna', 'phone'), await useJson(server, 'anna', 'desk')];
    const write = async (n: number) => {
      phone.update('patients', patient(n));
      await phone.saved();
      await desk.until(() => desk.messages.some(isOf(`p${n}`)));
    };
    return { server, doc, works, phone, desk, write };
  }

  test('[L1] [L3] for a JSON device that asks for them: they are as of then, and what changes later follows', async () => {
    const { server, doc, write } = await useThree();
    const tablet = await useJson(server, 'anna', 'tablet');
    const gate = useGate();
    tablet.requestSync();
    tablet.requestSync();
    await expect.poll(() => gate.asked).toBe(1);
    await write(7);
    await write(8);
    expect(tablet.messages.map(({ type }) => type)).toEqual(['FULL_SYNC', 'CONNECTION_CONFIRMED']);
    gate.open();
    await tablet.until(() => tablet.of('FULL_SYNC').length === 2);
    expect(tablet.of('FULL_SYNC')[1]?.data).toEqual(shownOf(doc, { p7: 'changed', p8: 'changed' }));
    await write(9);
    await tablet.until(() => tablet.messages.some(isOf('p9')));
    expect(tablet.of('DATA_UPDATE').map(({ data }) => data.document.id)).toEqual(['p9']);
    expect(gate.asked).toBe(1);
  });

  test('[L1] [L5] for one that connects: its queue waits behind them', async () => {
    const { server, doc, write } = await useThree();
    const gate = useGate();
    const tablet = openJson(server, 'anna', 'tablet');
    await tablet.until(() => tablet.ws.readyState === tablet.ws.OPEN);
    tablet.update('patients', { id: 'new', name: 'queued' }, { ack: 'queued' });
    await expect.poll(() => gate.asked).toBe(1);
    await write(7);
    expect(tablet.messages).toEqual([]);
    gate.open();
    await tablet.until(() => tablet.of('ACK').length === 1);
    expect(tablet.messages.map(({ type }) => type).slice(0, 2)).toEqual([
      'FULL_SYNC',
      'CONNECTION_CONFIRMED',
    ]);
    expect(tablet.of('FULL_SYNC')[0]?.data).toEqual(shownOf(doc, { p7: 'changed' }));
    // It is told again what the full sync, which crossed it, took out of its copy (L3).
    await tablet.until(() => tablet.store.patients?.new?.name === 'queued');
  });

  test('[H1] for GET /api/sync', async () => {
    const { server, doc, write } = await useThree();
    const gate = useGate();
    const asked = fetch(`${server.url}/api/sync/anna`, { headers: { 'Device-ID': 'tablet' } });
    await expect.poll(() => gate.asked).toBe(1);
    await write(7);
    gate.open();
    expect(await (await asked).json()).toEqual(shownOf(doc, { p7: 'changed' }));
  });

  test('[P10] for two at once, of a document that is written anew meanwhile', async () => {
    const { server, doc, works, write, desk } = await useThree();
    const tablet = await useJson(server, 'anna', 'tablet');
    const gate = useGate();
    const before = works.length;
    for (const device of [tablet, desk]) device.requestSync();
    await expect.poll(() => gate.asked).toBe(2);
    await gate.document?.rewriting.run(77, () => {});
    gate.open();
    for (const device of [tablet, desk]) {
      await device.until(() => device.of('FULL_SYNC').length === 2);
      expect(device.of('FULL_SYNC')[1]?.data).toEqual(shownOf(doc));
    }
    // What was written of records that are gone is not taken: all of them would be written in one go.
    expect(works.slice(before).filter(({ steps }) => steps > 2).length).toBeGreaterThanOrEqual(4);
    await write(7);
  });

  test('[L4] for one that goes: what it wrote meanwhile counts, and they are not written to the end', async () => {
    const { server, works, desk } = await useThree();
    const tablet = await useJson(server, 'anna', 'tablet');
    const { writeRecords } = UserDocument.prototype;
    const left = vi.spyOn(JsonSession.prototype, 'leave');
    vi.spyOn(UserDocument.prototype, 'writeRecords').mockImplementationOnce(function (
      this: UserDocument,
      isWanted,
    ) {
      return expect
        .poll(() => left.mock.calls.length)
        .toBe(1)
        .then(() => writeRecords.call(this, isWanted) ?? expect.fail('It is large.'));
    });
    const before = works.length;
    tablet.requestSync();
    tablet.update('patients', patient(7));
    tablet.ws.close();
    await desk.until(() => desk.messages.some(isOf('p7')));
    await expect.poll(() => works.length).toBe(before + 1);
    await expect(works[before]?.end).rejects.toMatchObject({ code: 'RESTARTING' });
    expect(works[before]?.steps).toBe(0);
  });

  test('[P7] for one whose user is erased meanwhile: it is told', async () => {
    const { server } = await useThree();
    const tablet = await useJson(server, 'anna', 'tablet');
    const gate = useGate();
    tablet.requestSync();
    await expect.poll(() => gate.asked).toBe(1);
    const erased = await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
    expect(erased.status).toBeLessThan(300);
    gate.open();
    await tablet.until(() => tablet.closed !== null);
    expect(tablet.closed?.code).toBe(4410);
    expect(tablet.of('FULL_SYNC')).toHaveLength(1);
  });
});
