import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Collections } from '../shared/json.js';
import type { CollectionName, RecordId } from '../shared/names.js';
import { writeRecord } from '../shared/records.js';
import { type ById, byId, clinic, generatedClinic, recordsOf } from './support/clinic.js';
import { JsonDevice } from './support/devices/json-device.js';
import { NativeDevice } from './support/devices/native-device.js';
import { ServerProcess } from './support/server-process.js';

const USER = 'patient-1';

describe('the walk: the built server as a process, with all records of the clinic', () => {
  const file = clinic();
  const records = recordsOf(file);
  const edited = records.filter((_, index) => index % 8 === 0).slice(0, 20);
  let server: ServerProcess;
  let expected: ById;
  const json: JsonDevice[] = [];
  const native: NativeDevice[] = [];

  const fetched = async (): Promise<ById> => {
    const response = await fetch(`${server.url}/api/sync/${USER}`, { headers: { 'Device-ID': 'fetcher' } });
    return byId((await response.json()) as Collections);
  };
  const connectJson = async (device: string): Promise<void> => {
    json.push(await JsonDevice.connect(server.url, USER, device));
  };
  const connectNative = async (device: string, doc?: Y.Doc): Promise<void> => {
    native.push(await NativeDevice.connect(server.url, USER, device, doc ? { doc } : {}));
  };
  const expectEverywhere = async (wanted: ById): Promise<void> => {
    for (const device of json) {
      // Messages may wait for each other (L4).
      await device.until(() => isDeepStrictEqual(device.store, wanted)).catch(() => {});
      expect(device.store).toEqual(wanted);
    }
    for (const device of native) expect(device.json()).toEqual(wanted);
    expect(await fetched()).toEqual(wanted);
  };

  beforeAll(async () => {
    server = await ServerProcess.start({ LOG_LEVEL: 'info' });
  });
  afterAll(async () => {
    for (const device of json) device.ws.terminate();
    for (const device of native) device.close();
    await server.dispose();
  });

  test('[L1 L2 L3 N1 D2 H1] all records of one JSON device reach the others as they are in the file', async () => {
    await connectJson('tablet');
    await connectJson('desk');
    await connectNative('phone');
    const [tablet, desk] = json as [JsonDevice, JsonDevice];
    for (const [collection, record] of records) tablet.update(collection, record);
    await tablet.saved();
    await connectNative('laptop');
    await desk.saved();
    await (native[0] as NativeDevice).saved();
    expected = byId(file);
    expect(Object.values(expected).flatMap(Object.values)).toHaveLength(173);
    await expectEverywhere(expected);
  });

  test('[D3 N1 N5] edits of 20 records made offline meet those that others made of other fields', async () => {
    const [phone, laptop] = native as [NativeDevice, NativeDevice];
    const [tablet, desk] = json as [JsonDevice, JsonDevice];
    phone.offline();
    for (const [index, [collection, { id }]] of edited.entries()) {
      const key = String(id);
      phone.doc.transact(() => {
        phone.record(collection, key).set('offlineNote', `${index} from the phone`);
        phone.record(collection, key).set('resourceType', `Edited${index}`);
        (phone.record(collection, key).get('text') as Y.Map<unknown>).set('status', 'additional');
      });
      laptop.record(collection, key).set('reviewedBy', { name: `Dr ${index}` });
      (laptop.record(collection, key).get('text') as Y.Map<unknown>).set('language', 'de');
      tablet.update(collection, { ...tablet.store[collection]?.[key], room: index });
      await Promise.all([tablet.saved(), laptop.saved()]);
    }
    await desk.saved();
    await phone.online();
    await Promise.all([phone.saved(), laptop.saved(), tablet.saved(), desk.saved()]);
    for (const [index, [collection, { id }]] of edited.entries()) {
      const record = expected[collection]?.[String(id)] as ById[string][string];
      const text = { ...(record.text as object), status: 'additional', language: 'de' };
      const others = { reviewedBy: { name: `Dr ${index}` }, room: index, text };
      const mine = { offlineNote: `${index} from the phone`, resourceType: `Edited${index}` };
      Object.assign(record, mine, others);
    }
    await expectEverywhere(expected);
  });

  test('[P6 N2] after SIGKILL and a restart everything is there, for old and for new devices', async () => {
    const [phone, laptop] = native as [NativeDevice, NativeDevice];
    await server.kill();
    await Promise.all([
      ...json.map((device) => device.end()),
      phone.until(() => !phone.provider.wsconnected),
    ]);
    await server.restart();
    json.length = 0;
    await Promise.all([connectJson('tablet'), connectJson('new-desk')]);
    await Promise.all([phone.synced(), laptop.synced(), connectNative('new-phone')]);
    await expectEverywhere(expected);
  });

  test('[D3 N1] and the devices go on as if nothing had happened', async () => {
    const [collection, { id }] = records[0] as (typeof records)[number];
    const [tablet] = json as [JsonDevice];
    const [, laptop] = native as [NativeDevice, NativeDevice];
    laptop.record(collection, String(id)).set('afterwards', true);
    await laptop.saved();
    await tablet.until(() => tablet.store[collection]?.[String(id)]?.afterwards);
    (expected[collection]?.[String(id)] as ById[string][string]).afterwards = true;
    await Promise.all(
      native.map((device) => device.until(() => device.json()[collection]?.[String(id)]?.afterwards)),
    );
    await json[1]?.saved();
    await expectEverywhere(expected);
  });
});

test('[D2] records are the same after a document of their own, in the file and made up', () => {
  for (const collections of [clinic(), generatedClinic()]) {
    const doc = new Y.Doc();
    for (const [name, record] of recordsOf(collections)) {
      writeRecord(doc, name as CollectionName, String(record.id) as RecordId, record);
    }
    const names = Object.keys(collections);
    expect(Object.fromEntries(names.map((name) => [name, doc.getMap(name).toJSON()]))).toEqual(
      byId(collections),
    );
    expect(recordsOf(collections)).toHaveLength(173);
  }
});
