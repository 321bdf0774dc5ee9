import { describe, expect, onTestFinished, test } from 'vitest';
import { createTestWard, type TestWardOptions } from '../../client/testing/index.js';

async function wardOf(options: TestWardOptions = {}) {
  const ward = await createTestWard(options);
  onTestFinished(() => ward.close());
  return ward;
}

/** Two devices that both have the appointment `a1`. */
async function booked(options: TestWardOptions = {}) {
  const ward = await wardOf({ devices: ['phone', 'desk'], ...options });
  const [phone, desk] = [ward.device('phone'), ward.device('desk')];
  await desk.addData('appointments', { id: 'a1', status: 'booked', room: 4 });
  await ward.settled();
  return { ward, phone, desk };
}

describe('a ward', () => {
  test('has devices by number or by name, each with the real client, connected', async () => {
    const ward = await wardOf({ devices: 4 });
    for (const name of ['phone', 'tablet', 'desk', 'device-4'])
      expect(ward.device(name).status.current).toMatchObject({ connection: 'online', hasSynced: true });
  });

  test('brings what one device writes to the others, and to one that joins later', async () => {
    const { ward, phone } = await booked();
    expect(phone.getRecord('appointments', 'a1')).toEqual({ id: 'a1', status: 'booked', room: 4 });
    const late = ward.device('late');
    await ward.settled();
    expect(late.getRecord('appointments', 'a1')).toEqual({ id: 'a1', status: 'booked', room: 4 });
  });

  test('keeps users apart', async () => {
    const { ward } = await booked();
    const ben = ward.device('tablet', { user: 'ben' });
    await ward.settled();
    expect(await ben.getData('appointments')).toEqual([]);
  });

  test('gives options to the server, which may refuse them in its words', async () => {
    await expect(createTestWard({ server: { MAX_DOCUMENT: 'much' } })).rejects.toThrow(/MAX_DOCUMENT is/);
    const ward = await wardOf({ server: { MAX_DOCUMENT: '2 KB' } });
    const phone = ward.device('phone');
    await phone.addData('notes', { text: 'x'.repeat(4_000) });
    await ward.settled();
    expect(phone.status.current.refused).toMatchObject([{ code: 'DOCUMENT_FULL' }]);
  });

  test('shares the collections that belong to nobody', async () => {
    const ward = await wardOf({ sharedCollections: ['doctors'] });
    await ward.device('phone').addData('doctors', { id: 'd1', name: 'Dr. Who' });
    const ben = ward.device('tablet', { user: 'ben' });
    await ward.settled();
    expect(await ben.getData('doctors')).toEqual([{ id: 'd1', name: 'Dr. Who' }]);
  });

  test('is the same each time for one seed, another one for another', async () => {
    const idOf = async (seed: number) => {
      const ward = await wardOf({ seed });
      return ward.device('phone').addData('notes', { text: 'one' });
    };
    expect(await idOf(7)).toBe(await idOf(7));
    expect(await idOf(8)).not.toBe(await idOf(7));
  });
});

describe('[C2 D3] cut and mend', () => {
  test('a device that is cut off works on, and both sides merge when it is back', async () => {
    const { ward, phone, desk } = await booked();
    ward.cut('phone');
    expect(phone.status.current.connection).toBe('offline');
    await phone.updateData('appointments', 'a1', { room: 7 });
    await desk.updateData('appointments', 'a1', { status: 'arrived' });
    await ward.settled();
    expect(phone.status.current.pendingChanges).toBe(1);
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 4 });
    ward.mend('phone');
    await ward.settled();
    for (const device of [phone, desk])
      expect(device.getRecord('appointments', 'a1')).toEqual({ id: 'a1', status: 'arrived', room: 7 });
  });

  test('of two edits of one field that did not know of each other, the one that is made later stays', async () => {
    const { ward, phone, desk } = await booked();
    const pairs = [
      [phone, desk],
      [desk, phone],
    ] as const;
    for (const [turn, [first, second]] of [...pairs, ...pairs, ...pairs].entries()) {
      ward.cut();
      await first.updateData('appointments', 'a1', { room: `${turn} first` });
      await second.updateData('appointments', 'a1', { room: `${turn} second` });
      ward.mend();
      await ward.settled();
      for (const device of [phone, desk])
        expect(device.getRecord('appointments', 'a1')).toMatchObject({ room: `${turn} second` });
    }
  });

  test('what was sent before the cut arrives, and stays pending where no answer came', async () => {
    const { ward, phone, desk } = await booked();
    await phone.updateData('appointments', 'a1', { room: 7 });
    ward.cut('phone');
    await ward.settled();
    expect(phone.status.current.pendingChanges).toBe(1);
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 7 });
    ward.mend('phone');
    await phone.whenSynced();
    expect(phone.status.current.pendingChanges).toBe(0);
  });

  test('many times in a row, without any time in between', async () => {
    const { ward, phone, desk } = await booked();
    for (let room = 10; room < 15; room++) {
      ward.cut('phone');
      await phone.updateData('appointments', 'a1', { room });
      ward.mend('phone');
      await phone.whenSynced();
    }
    await ward.settled();
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 14 });
  });

  test('a device that the test disconnected stays so', async () => {
    const { ward, phone, desk } = await booked();
    await phone.disconnect();
    await phone.updateData('appointments', 'a1', { room: 7 });
    await ward.settled();
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 4 });
    await phone.connect();
    await ward.settled();
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 7 });
  });

  test('names the devices that there are', async () => {
    const ward = await wardOf({ devices: 2 });
    expect(() => ward.cut('fone')).toThrow('There is no device fone in this ward, which has phone, tablet.');
  });
});

describe('[P1 C7] a crash and a restart', () => {
  test('the server comes back with what had reached its disk, and devices with it', async () => {
    const { ward, phone, desk } = await booked();
    await ward.crash();
    await phone.updateData('appointments', 'a1', { room: 7 });
    await ward.settled();
    expect(desk.getRecord('appointments', 'a1')).toEqual({ id: 'a1', status: 'booked', room: 7 });
    const late = ward.device('late');
    await ward.settled();
    expect(late.getRecord('appointments', 'a1')).toEqual({ id: 'a1', status: 'booked', room: 7 });
  });

  test('nothing is lost that was under way', async () => {
    const { ward, phone, desk } = await booked();
    for (let room = 10; room < 15; room++) {
      await phone.updateData('appointments', 'a1', { room });
      await ward.crash();
    }
    await ward.settled();
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 14 });
    expect(phone.status.current.pendingChanges).toBe(0);
  });

  test('nobody waits for sockets that were about to close', async () => {
    const { ward, phone, desk } = await booked();
    for (let turn = 0; turn < 5; turn++) {
      ward.cut('phone');
      await Promise.all([ward.restart('desk'), ward.crash()]);
      await ward.clock.advance('5s');
      ward.mend('phone');
      await ward.settled();
    }
    expect(phone.status.current.connection).toBe('online');
    expect(desk.status.current.connection).toBe('closed');
  });

  test('an app that is started again has what it had stored', async () => {
    const { ward, phone } = await booked();
    ward.cut('phone');
    await phone.updateData('appointments', 'a1', { room: 7 });
    const again = await ward.restart('phone');
    expect(await again.getLocalData('appointments', 'a1')).toMatchObject({ room: 7 });
    expect(again.status.current.pendingChanges).toBe(1);
    ward.mend('phone');
    await ward.settled();
    expect(ward.device('desk').getRecord('appointments', 'a1')).toMatchObject({ room: 7 });
  });
});

describe('the clock', () => {
  test('passes when it is told to, for devices and the server', async () => {
    const { ward, phone, desk } = await booked({ start: Date.UTC(2025, 5, 1) });
    expect(new Date(ward.clock.now()).toISOString()).toMatch(/^2025-06-01T00:00:00/);
    ward.cut('phone');
    await phone.updateData('appointments', 'a1', { room: 7 });
    await ward.clock.advance('3d');
    await desk.updateData('appointments', 'a1', { room: 8 });
    ward.mend('phone');
    await ward.settled();
    expect(desk.getRecord('appointments', 'a1')).toMatchObject({ room: 8 });
    expect(new Date(desk.status.current.lastSyncedAt ?? 0).toISOString()).toMatch(/^2025-06-04/);
    const { status, body } = await ward.request('/api/history/anna?id=a1');
    expect(status).toBe(200);
    const { entries } = body as { entries: { deviceId: string; at: number; madeAt: number }[] };
    const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);
    expect(entries.map(({ deviceId, at, madeAt }) => [deviceId, dayOf(at), dayOf(madeAt)])).toEqual(
      expect.arrayContaining([
        ['phone', '2025-06-04', '2025-06-01'],
        ['desk', '2025-06-04', '2025-06-04'],
        ['desk', '2025-06-01', '2025-06-01'],
      ]),
    );
  });

  test('devices that are connected are so afterwards', async () => {
    const { ward, phone } = await booked();
    for (const time of ['90s', '2h', 40_000, '100d'] as const) {
      await ward.clock.advance(time);
      await ward.settled();
      expect(phone.status.current.connection).toBe('online');
    }
  });

  test('takes no other times', async () => {
    const ward = await wardOf();
    // @ts-expect-error: such a unit is none
    await expect(async () => ward.clock.advance('3 weeks')).rejects.toThrow("'3 weeks' is no time");
    await expect(async () => ward.clock.advance(-1)).rejects.toThrow("'-1' is no time");
  });
});

describe('[L1 L6] a JSON device', () => {
  test('has the records, writes whole ones, and is merged with the others', async () => {
    const { ward, phone, desk } = await booked();
    const tablet = ward.jsonDevice('old-tablet');
    await ward.settled();
    expect(tablet.records('appointments')).toEqual([{ id: 'a1', status: 'booked', room: 4 }]);
    ward.cut('old-tablet');
    tablet.edit('appointments', 'a1', { room: 9 });
    await desk.updateData('appointments', 'a1', { status: 'arrived' });
    await ward.settled();
    expect(tablet).toMatchObject({ isOnline: false, pendingChanges: 1 });
    ward.mend('old-tablet');
    await ward.settled();
    const merged = { id: 'a1', status: 'arrived', room: 9 };
    expect(tablet.record('appointments', 'a1')).toEqual(merged);
    expect(phone.getRecord('appointments', 'a1')).toEqual(merged);
  });

  test('deletes, and comes back after a crash', async () => {
    const { ward, phone } = await booked();
    const tablet = ward.jsonDevice('old-tablet');
    await ward.settled();
    await ward.crash();
    tablet.delete('appointments', 'a1');
    tablet.write('notes', { id: 'n1', text: 'one' });
    await ward.settled();
    expect(await phone.getData('appointments')).toEqual([]);
    expect(await phone.getData('notes')).toEqual([{ id: 'n1', text: 'one' }]);
    expect(tablet).toMatchObject({ isOnline: true, pendingChanges: 0, refused: [] });
  });

  test('is told what the server does not take', async () => {
    const { ward } = await booked();
    const tablet = ward.jsonDevice('old-tablet');
    await ward.settled();
    tablet.write('notes', { id: '', text: 'one' });
    await ward.settled();
    expect(tablet.refused).toMatchObject([{ code: 'INVALID_NAME' }]);
    expect(tablet.pendingChanges).toBe(0);
  });

  test('is not taken for another device', async () => {
    const { ward } = await booked();
    ward.jsonDevice('old-tablet');
    expect(() => ward.device('old-tablet')).toThrow("it is ward.jsonDevice('old-tablet')");
    expect(() => ward.jsonDevice('phone')).toThrow("it is ward.device('phone')");
    expect(() => ward.jsonDevice('old-tablet').edit('notes', 'n1', {})).toThrow('has no notes/n1');
  });
});
