/** D4 with unmodified providers over sockets: who wins, who comes first, live and offline, with a restart between. */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { readValue, sharedValue } from '../shared/records.js';
import type { NativeDevice } from './support/devices/native-device.js';
import { shareProcess } from './support/shared-process.js';
import { openNative, useJson } from './support/use.js';

const PHONE = {
  status: 'booked',
  dose: { am: 1, deep: { phone: 1 } },
  items: [{ id: 'm', mg: 5 }],
  tags: ['t'],
};
const TABLET = {
  room: 4,
  dose: { pm: 2, deep: { tablet: 2 } },
  items: [{ id: 'm', unit: 'ml' }, { id: 'n' }],
  tags: ['t'],
};
const UNITED = {
  status: 'booked',
  room: 4,
  dose: { am: 1, pm: 2, deep: { phone: 1, tablet: 2 } },
  items: [{ id: 'm', mg: 5, unit: 'ml' }, { id: 'n' }],
  tags: ['t'],
};

const shared = shareProcess();

const create = (device: NativeDevice, record: object) =>
  device.collection('prescriptions').set('x', sharedValue(record as never));
const recordOn = (device: NativeDevice) => readValue(device.collection('prescriptions').get('x')) as object;

function docWith(clientID: number): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = clientID;
  return doc;
}

describe.each([
  ['the phone wins', 20, 10],
  ['the tablet wins', 10, 20],
])('%s', (_, phoneId, tabletId) => {
  test.each([
    ['live', false],
    ['live', true],
    ['offline', false],
    ['offline', true],
  ])('[D4] a record that two providers create apart, %s, the tablet first: %s', async (mode, tabletFirst) => {
    const { server, user } = shared;
    const phone = openNative(server, user, 'phone', { doc: docWith(phoneId) });
    const tablet = openNative(server, user, 'tablet', { doc: docWith(tabletId) });
    const json = await useJson(server, user, 'json');
    await Promise.all([phone.synced(), tablet.synced()]);
    const devices = tabletFirst ? [tablet, phone] : [phone, tablet];
    if (mode === 'offline') for (const device of devices) device.offline();
    for (const device of devices) create(device, device === phone ? PHONE : TABLET);
    if (mode === 'offline') {
      for (const device of devices) {
        await device.online();
        await device.saved();
        if (device === devices[0]) device.offline();
      }
      phone.offline();
      // An edit of a map that may have lost, before its author hears of the other one.
      (phone.collection('prescriptions').get('x') as Y.Map<unknown>).set('late', true);
      await server.kill();
      await server.restart();
      await Promise.all(devices.map((device) => device.online()));
    }
    const expected = mode === 'offline' ? { ...UNITED, late: true } : UNITED;
    for (const device of devices) await device.until(() => isUnited(recordOn(device), expected));
    if (mode === 'live') await json.until(() => isUnited(json.store.prescriptions?.x, expected));
    const { prescriptions } = (await (await fetch(`${server.url}/api/sync/${user}`)).json()) as {
      prescriptions: object[];
    };
    expect(prescriptions).toEqual([{ ...recordOn(phone), id: 'x' }]);
  });
});

/** Equal, but for the order of the list: it is the winner's. */
function isUnited(actual: unknown, expected: { items: { id: string }[] }): boolean {
  const sorted = (record: typeof expected) => ({
    ...record,
    id: 'x',
    items: [...(record.items ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1)),
  });
  try {
    expect(sorted(actual as typeof expected)).toEqual(sorted(expected));
    return true;
  } catch {
    return false;
  }
}
