/** What devices, and who looks after the server, see of a disk that hangs (P8). */
import { describe, expect, onTestFinished, test } from 'vitest';
import { MAX_BACKLOG } from '../../../server/documents/turns/backlog.js';
import { collectingLog } from '../../../server/log.js';
import type { Collections } from '../../../shared/json.js';
import { byId } from '../../support/clinic.js';
import { HangingDisk } from '../../support/hanging-disk.js';
import { LevelFixture } from '../../support/level-fixture.js';
import type { TestServer } from '../../support/server.js';
import { useJson, useNative, useServer } from '../../support/use.js';
import { LATENESS } from '../../support/wait.js';

interface Ward extends TestServer {
  readonly disk: HangingDisk;
  readonly events: ReturnType<typeof collectingLog>['events'];
}

async function useHanging(patience: { slow: number; timeout: number }): Promise<Ward> {
  const fixture = await LevelFixture.create();
  const disk = new HangingDisk();
  const store = await fixture.open({ patience, write: disk.write });
  const { log, events } = collectingLog();
  const server = await useServer(
    {
      MAX_DOCUMENT: '0',
      MAX_NATIVE_MESSAGE: '0',
      MESSAGE_RATE: '0',
      BYTE_RATE: '0',
      MAX_UNSAVED: '1 GiB',
      MAX_UNSAVED_PER_USER: '1 GiB',
      SHUTDOWN_TIMEOUT: '100ms',
    },
    { store, log },
  );
  onTestFinished(async () => {
    disk.answer();
    await fixture.remove();
  });
  return { ...server, disk, events };
}

const statusOf = async ({ url }: Ward, path: string): Promise<number> => (await fetch(url + path)).status;
const change = (id: string) => ({
  method: 'POST',
  body: JSON.stringify({
    changes: [
      {
        type: 'DATA_UPDATE',
        data: { collection: 'notes', document: { id } },
        userId: 'anna',
        deviceId: 'desk',
      },
    ],
  }),
});

describe('[P8] a disk that hangs', () => {
  test('/ready fails and /health does not; every writer is told, by whichever protocol, and nobody was shown', async () => {
    const server = await useHanging({ slow: 50, timeout: 1_500 });
    const tablet = await useJson(server, 'anna', 'tablet');
    const desk = await useJson(server, 'anna', 'desk');
    const phone = await useNative(server, 'anna', 'phone');
    server.disk.hang();
    tablet.update('notes', { id: 'n1' }, { ack: 'n1' });
    const posted = fetch(`${server.url}/api/sync/anna`, change('n2'));
    phone.record('notes', 'n3').set('by', 'phone');
    const told = async () => (await fetch(`${server.url}/ready`)).json();
    await expect.poll(told).toMatchObject({ status: 'not ready', reasons: [{ code: 'DISK_SLOW' }] });
    expect(await statusOf(server, '/health')).toBe(200);
    expect((await tablet.end()).code).toBe(1011);
    expect(tablet.of('ERROR').map(({ code }) => code)).toEqual(['NOT_SAVED']);
    expect((await posted).status).toBe(503);
    expect(await (await posted).json()).toMatchObject({ code: 'NOT_SAVED' });
    await phone.until(() => phone.closes.includes(1011));
    await desk.end();
    expect(Object.keys(desk.store.notes ?? {})).toEqual([]);
    expect(await statusOf(server, '/api/sync/anna')).toBe(503);
    expect(await statusOf(server, '/health')).toBe(200);

    server.disk.answer();
    await expect.poll(() => statusOf(server, '/ready')).toBe(200);
    const again = await useJson(server, 'anna', 'tablet');
    again.update('notes', { id: 'n1' }, { ack: 'again' }); // it may be there already
    await again.until(() => again.of('ACK').length === 1);
    expect((await fetch(`${server.url}/api/sync/anna`, change('n2'))).status).toBe(200);
    await phone.synced();
    await phone.saved();
    const collections = (await (await fetch(`${server.url}/api/sync/anna`)).json()) as Collections;
    expect(Object.keys(byId(collections).notes ?? {}).sort()).toEqual(['n1', 'n2', 'n3']);
    const logged = server.events.filter(({ name }) => name.startsWith('store')).map(({ name }) => name);
    expect(new Set(logged)).toEqual(new Set(['storeSlow', 'storeFailed', 'storeRecovered']));
  });

  test('what is accepted meanwhile is bounded: sockets wait, requests are refused, and nothing is lost', async () => {
    const server = await useHanging({ slow: 50, timeout: 3_600_000 });
    const tablet = await useJson(server, 'anna', 'tablet');
    server.disk.hang();
    const count = 1.2 * (MAX_BACKLOG / 16_384); // each small change counts as 16 KiB
    for (let i = 0; i < count; i++) tablet.update('notes', { id: `n${i % 100}`, i }, { ack: `${i}` });
    // Of another user: it is refused anyway, and sooner while there is no room.
    const asked = async () => (await fetch(`${server.url}/api/sync/bert`, change('late'))).status;
    await expect.poll(asked).toBe(503);
    expect(await statusOf(server, '/health')).toBe(200);
    expect(tablet.of('ACK')).toEqual([]);
    server.disk.answer();
    await tablet.until(() => tablet.of('ACK').length === Math.ceil(count));
    expect(tablet.closed).toBeNull();
    await expect.poll(() => statusOf(server, '/ready')).toBe(200);
  });

  test('does not keep the server from stopping', async () => {
    const server = await useHanging({ slow: 50, timeout: 3_600_000 });
    const tablet = await useJson(server, 'anna', 'tablet');
    server.disk.hang();
    tablet.update('notes', { id: 'n1' }, { ack: 'n1' });
    await expect.poll(() => statusOf(server, '/ready')).toBe(503);
    const began = performance.now();
    expect([await server.app.close(), server.app.isClosed]).toEqual([false, false]);
    expect(performance.now() - began).toBeLessThan(100 + LATENESS);
    expect(tablet.of('ACK')).toEqual([]);
  });
});
