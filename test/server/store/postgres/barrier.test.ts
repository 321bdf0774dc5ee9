import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../../../server/app.js';
import { readConfig } from '../../../../server/config.js';
import { silentLog } from '../../../../server/log.js';
import type { PostgresStore } from '../../../../server/store/postgres/postgres-store.js';
import { NativeDevice } from '../../../support/devices/native-device.js';
import { stateReached, user } from '../../../support/notes.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';
import { useJson } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Running {
  readonly store: PostgresStore;
  readonly url: string;
  close(): Promise<boolean>;
}

const read = (running: Running) => fetch(`${running.url}/api/sync/anna?deviceId=tablet`);
/** What it shows sooner or later, and all that it has shown on the way. */
async function shownBy(running: Running, wanted: string): Promise<string[]> {
  const shown: string[] = [];
  const once = async (): Promise<string> => {
    const answer = await read(running);
    if (answer.status === 200) shown.push(await answer.text());
    return shown.at(-1) ?? '';
  };
  await expect.poll(once, { timeout: PATIENCE }).toContain(wanted);
  return shown;
}

/** The first does not beat: it is as if it were stopped whenever the test wants it to be. */
async function server(
  fixture: PostgresFixture,
  address: 'one' | 'two',
  beat = address === 'one' ? 3_600_000 : 1_000,
): Promise<Running> {
  const store = await fixture.open({ address, beat });
  const app = await createApp(readConfig({ PORT: '0', IDLE_TIMEOUT: '200ms' }), silentLog, { store });
  closing.push(() => app.close());
  return { store, url: `http://127.0.0.1:${await app.listen()}`, close: () => app.close() };
}

async function device({ url }: Running, name: string): Promise<NativeDevice> {
  const connected = await NativeDevice.connect(url, 'anna', name);
  onTestFinished(() => connected.provider.destroy());
  return connected;
}

const textOf = (device: NativeDevice): unknown => (device.json() as { notes?: object }).notes;

describe.skipIf(postgresUrl() === '')('two servers on one store', () => {
  test('[N2] a server that was taken for gone shows nothing from before, over no door', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const one = await server(fixture, 'one');
    const phone = await device(one, 'phone');
    phone.record('notes', 'n1').set('text', 'first');
    await expect.poll(async () => (await read(one)).text(), { timeout: PATIENCE }).toContain('first');
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'one'`);
    const two = await server(fixture, 'two');
    const laptop = await device(two, 'laptop');
    laptop.record('notes', 'n1').set('text', 'second');
    await expect.poll(async () => (await read(two)).text(), { timeout: PATIENCE }).toContain('second');
    const stale = await read(one);
    expect([stale.status, await stale.text()]).toEqual([503, expect.not.stringContaining('first')]);
    expect(textOf(laptop)).toEqual({ n1: { text: 'second' } });
  });

  test('[N2] nor when the other server has let go of the user, so that it has the user again', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const one = await server(fixture, 'one');
    const phone = await device(one, 'phone'); // keeps the document awake
    phone.record('notes', 'n1').set('text', 'first');
    await shownBy(one, 'first');
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'one'`);
    const two = await server(fixture, 'two');
    const laptop = await device(two, 'laptop');
    laptop.record('notes', 'n1').set('text', 'second');
    await shownBy(two, 'second');
    laptop.provider.destroy();
    const owner = async () => {
      await two.store.letGo(user('anna'));
      return (await fixture.schema.query('SELECT owner FROM document')).rows[0]?.owner;
    };
    await expect.poll(owner, { timeout: PATIENCE }).toBeNull();
    await one.store.owner(user('anna')).catch(() => {}); // as a node looks now and then
    for (const shown of await shownBy(one, 'second')) expect(shown).not.toContain('first');
  });

  test('[N2] nor when another server had its address for a while', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const one = await server(fixture, 'one', 20);
    const phone = await device(one, 'phone'); // keeps the document awake
    phone.record('notes', 'n1').set('text', 'first');
    await shownBy(one, 'first');
    const other = await server(fixture, 'one');
    await stateReached(one.store, 'reopening');
    const laptop = await device(other, 'laptop');
    laptop.record('notes', 'n1').set('text', 'second');
    await shownBy(other, 'second');
    laptop.provider.destroy();
    await other.close();
    await stateReached(one.store, 'ready');
    for (const shown of await shownBy(one, 'second')) expect(shown).not.toContain('first');
  });

  test('[N2] nor to a native device that comes back to it', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const one = await server(fixture, 'one');
    const { provider } = await device(one, 'phone');
    await device(one, 'other'); // keeps the document awake
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'one'`);
    const two = await server(fixture, 'two');
    await device(two, 'laptop');
    const closed = new Promise<number>((resolve) => {
      provider.on('connection-close', (event) => event?.code === 1012 && resolve(event.code));
    });
    let synced = 0;
    provider.on('sync', (is) => {
      if (is) synced += 1;
    });
    provider.disconnect();
    provider.connect();
    expect(await closed).toBe(1012);
    expect(synced).toBe(0);
  });

  test('[P1] [N2] nor acknowledges there what is what its document says already', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const one = await server(fixture, 'one');
    const tablet = await useJson(one, 'anna', 'tablet');
    const first = { id: 'n1', text: 'first' };
    tablet.update('notes', first);
    await tablet.saved();
    await fixture.schema.query(`UPDATE node SET beat = beat - interval '1 minute' WHERE address = 'one'`);
    const two = await server(fixture, 'two');
    const laptop = await device(two, 'laptop');
    laptop.record('notes', 'n1').set('text', 'second');
    const read = async () => await (await fetch(`${two.url}/api/sync/anna?deviceId=desk`)).text();
    await expect.poll(read, { timeout: PATIENCE }).toContain('second');
    tablet.update('notes', first, { ack: 'again' });
    await tablet.end();
    const answers = tablet.messages.filter((message) => 'ack' in message && message.ack === 'again');
    expect(answers).toMatchObject([{ type: 'ERROR', code: 'NOT_SAVED' }]);
  });

  test('[P7] [P6] a server whose ids an erasure by another one has retired writes with others', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const one = await server(fixture, 'one');
    const two = await server(fixture, 'two');
    const write = async ({ url }: Running, id: string): Promise<number> => {
      const at = { userId: 'anna', deviceId: id, timestamp: Date.now() };
      const data = { collection: 'notes', document: { id }, timestamp: at.timestamp };
      const body = JSON.stringify({ changes: [{ type: 'DATA_UPDATE', data, ...at }] });
      const headers = { 'content-type': 'application/json', 'device-id': id };
      return (await fetch(`${url}/api/sync/anna`, { method: 'POST', headers, body })).status;
    };
    const ok = (running: Running, id: string) =>
      expect.poll(() => write(running, id), { timeout: PATIENCE }).toBe(200);
    await ok(one, 'first');
    const erase = async () => {
      await one.store.letGo(user('anna'));
      return await fetch(`${two.url}/admin/users/anna`, { method: 'DELETE' });
    };
    await expect.poll(async () => (await erase()).status, { timeout: PATIENCE }).toBe(204);
    await ok(one, 'second');
    const fresh = await device(one, 'fresh');
    const seen = await device(one, 'seen');
    fresh.record('notes', 'second').set('text', 'built on it');
    await expect
      .poll(() => textOf(seen), { timeout: PATIENCE })
      .toEqual({
        second: { id: 'second', text: 'built on it' },
      });
  });
});
