/** Our connection and the real server. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { ConnectedDevice } from '../support/devices/connected-device.js';
import { NativeDevice } from '../support/devices/native-device.js';
import { NoUpgrades } from '../support/no-upgrades.js';
import { PlainSource } from '../support/plain-source.js';
import { startServer } from '../support/server.js';
import { ServerProcess } from '../support/server-process.js';
import { bearer, JWT, tokenFor } from '../support/tokens.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function device(url: string, user = 'anna'): ConnectedDevice {
  const made = new ConnectedDevice(url, user);
  closing.push(() => made.close());
  return made;
}

async function server(options: Record<string, string> = {}) {
  const started = await startServer(options);
  closing.push(() => started.close());
  return started;
}

test('[A3] the request line of a client is short, however large its token is', async () => {
  let take = (_line: string): void => {};
  const line = new Promise<string>((resolve) => {
    take = resolve;
  });
  const listener = createServer((socket) => {
    socket.on('error', () => {}); // the client goes
    socket.once('data', (bytes) => take(bytes.toString('latin1').split('\r\n')[0] ?? ''));
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  closing.push(() => listener.close());
  const access = Array.from({ length: 120 }, (_, i) => ({
    user: `${i}`.padStart(36, '0'),
    mode: 'read' as const,
  }));
  const token = await tokenFor('doctor', { access });
  expect(token.length).toBeGreaterThan(8_192); // what a line may have for nginx
  const { port } = listener.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const phone = new ConnectedDevice(url, 'anna', new PlainSource(80), async () => token);
  closing.push(() => phone.close());
  phone.connection.start();
  expect(await line).toMatch(
    /^GET \/yjs\/anna\?deviceId=[^&]+&times=1&rewrites=1&challenge=[\w-]+ HTTP\/1\.1$/,
  );
});

const isInStep = ({ source, report }: ConnectedDevice): boolean =>
  source.pending.length === 0 && report?.lastSyncedAt !== undefined;

test('[C4] what was written offline arrives, is confirmed, and reaches a plain y-websocket client', async () => {
  const { url } = await server();
  const phone = device(url);
  phone.source.create('patients', 'p', { name: 'Anna' });
  phone.source.create('patients', 'q', { name: 'Beat' });
  await phone.online();
  expect(phone.source.pending).toEqual([]);
  const desk = await NativeDevice.connect(url, 'anna', 'desk');
  closing.push(() => desk.close());
  expect(desk.json()).toEqual({ patients: { p: { name: 'Anna' }, q: { name: 'Beat' } } });
  desk.record('patients', 'p').set('room', 4);
  await phone.until(() => (phone.records.p as { room?: number }).room === 4);
  phone.source.write((doc) => doc.getMap('patients').delete('q'));
  await desk.until(() => Object.keys(desk.json().patients ?? {}).length === 1);
  await phone.connection.flush();
  expect(phone.source.pending).toEqual([]);
});

test('[A4 C6] a token that expires is replaced, and what was edited meanwhile arrives', async () => {
  const { url } = await server(JWT);
  let asked = 0;
  const source = new PlainSource(77);
  const getToken = () => {
    // Made after the connection was lost, before there is another one.
    if (asked > 0) source.create('patients', `late-${asked}`, { room: asked });
    return tokenFor('anna', { expiresIn: asked++ === 0 ? 2 : 300 });
  };
  const phone = new ConnectedDevice(url, 'anna', source, getToken);
  closing.push(() => phone.close());
  await phone.online();
  source.create('patients', 'early', { room: 0 });
  await phone.until(() => asked === 2 && phone.report?.connection === 'online' && isInStep(phone));
  expect(new Set(phone.states)).toEqual(new Set(['connecting', 'online'])); // never without a good token
  const stored = await fetch(`${url}/api/sync/anna`, { headers: bearer(await tokenFor('anna')) });
  expect(await stored.json()).toMatchObject({
    patients: [
      { id: 'early', room: 0 },
      { id: 'late-1', room: 1 },
    ],
  });
});

test('[A4] without access the client does not try again by itself', async () => {
  const { url } = await server(JWT);
  const source = new PlainSource(78);
  source.create('patients', 'p', { room: 1 });
  const phone = new ConnectedDevice(url, 'anna', source, () => tokenFor('bert'));
  closing.push(() => phone.close());
  phone.connection.start();
  await phone.until(() => phone.report?.connection === 'refused');
  expect(phone.report?.reason).toBe('The token gives no access to this user.');
  expect(source.pending).toHaveLength(1);
});

test('[N7] a client that may only read gets the data, and keeps what was refused as pending', async () => {
  const { url } = await server(JWT);
  const doctor = () => tokenFor('doctor', { access: [{ user: 'anna', mode: 'read' }] });
  const owner = new ConnectedDevice(url, 'anna', new PlainSource(79), () => tokenFor('anna'));
  const phone = new ConnectedDevice(url, 'anna', new PlainSource(80), doctor);
  closing.push(
    () => owner.close(),
    () => phone.close(),
  );
  owner.source.create('patients', 'p', { room: 1 });
  await owner.online();
  await phone.online();
  expect(phone.records).toEqual({ p: { room: 1 } });
  phone.source.create('patients', 'q', { room: 2 });
  await phone.until(() => phone.report?.error?.code === 'REFUSED');
  expect(phone.source.pending).toHaveLength(1);
  expect(owner.records).toEqual({ p: { room: 1 } });
});

test('[C4] nothing is lost when the server is killed under a stream of writes', async () => {
  const process = await ServerProcess.start();
  closing.push(() => process.dispose());
  const phone = await device(process.url).online();
  for (let n = 0; n < 50; n++) phone.source.create('patients', `a${n}`, { n });
  await process.kill();
  for (let n = 0; n < 50; n++) phone.source.create('patients', `b${n}`, { n });
  await phone.until(() => phone.report?.connection === 'offline');
  await process.restart();
  await phone.until(() => phone.report?.connection === 'online' && isInStep(phone));
  const desk = await device(process.url).online();
  expect(Object.keys(desk.records)).toHaveLength(100);
});

test('[D4] two creations apart are united though the client had merged the other before it sent its own', async () => {
  const { url } = await server();
  const desk = device(url);
  const phone = device(url); // its client id is higher: its creation wins where both merge
  desk.source.create('patients', 'p', { room: 4 });
  phone.source.create('patients', 'p', { name: 'Anna' });
  Y.applyUpdate(desk.source.doc, phone.source.diff(Uint8Array.of(0)));
  expect(desk.records).toEqual({ p: { name: 'Anna' } });
  await phone.online();
  await desk.online();
  for (const each of [phone, desk]) {
    await each.until(() => (each.records.p as { room?: number }).room === 4);
    expect(each.records).toEqual({ p: { name: 'Anna', room: 4 } });
    await each.until(() => isInStep(each));
  }
});

test('[H3] where a proxy refuses upgrades, changes go over HTTP, both ways', async () => {
  const { url } = await server();
  const proxy = await NoUpgrades.before(url);
  closing.push(() => proxy.close());
  const desk = device(url);
  desk.source.create('patients', 'q', { name: 'Beat' });
  await desk.online();
  const phone = device(proxy.url);
  phone.source.create('patients', 'p', { name: 'Anna' });
  phone.connection.start();
  await phone.until(() => isInStep(phone));
  expect(proxy.refused).toBeGreaterThanOrEqual(2);
  expect(phone.records).toEqual({ p: { name: 'Anna' }, q: { name: 'Beat' } });
  await desk.until(() => 'p' in desk.records);
  phone.source.create('patients', 'r', { name: 'Cleo' });
  await phone.connection.flush();
  await desk.until(() => 'r' in desk.records);
  expect(phone.states).not.toContain('online');
});

test('[H3] what a client lost in a merge is united over HTTP, too (D4)', async () => {
  const { url } = await server();
  const proxy = await NoUpgrades.before(url);
  closing.push(() => proxy.close());
  const desk = device(proxy.url);
  const phone = device(url);
  desk.source.create('patients', 'p', { room: 4 });
  phone.source.create('patients', 'p', { name: 'Anna' });
  Y.applyUpdate(desk.source.doc, phone.source.diff(Uint8Array.of(0)));
  await phone.online();
  desk.connection.start();
  await desk.until(() => isInStep(desk));
  await phone.until(() => (phone.records.p as { room?: number }).room === 4);
  await desk.connection.flush();
  expect(desk.records).toEqual({ p: { name: 'Anna', room: 4 } });
});

test.each(['over a socket', 'over HTTP'])(
  '[P6] a server of an older backup gets back what it has lost, %s',
  async (way) => {
    const folder = await mkdtemp(join(tmpdir(), 'restored-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const data = join(folder, 'data');
    const first = await startServer({ DATA_DIR: data });
    const phone = device(first.url);
    phone.source.create('patients', 'p', { name: 'Anna' });
    phone.source.create('patients', 'q', { name: 'Beat' });
    await phone.online();
    await first.close();
    await cp(data, join(folder, 'backup'), { recursive: true });
    const port = String(first.port);
    const second = await startServer({ DATA_DIR: data, PORT: port });
    await phone.until(() => phone.report?.connection === 'online');
    phone.source.create('patients', 'r', { name: 'Cleo' });
    phone.source.write((doc) => doc.getMap('patients').delete('q'));
    await phone.connection.flush();
    phone.connection.stop();
    await second.close();
    const third = await server({ DATA_DIR: join(folder, 'backup') });
    phone.source.create('patients', 's', { name: 'Dora' });
    const proxy = await NoUpgrades.before(third.url);
    closing.push(() => proxy.close());
    const again = new ConnectedDevice(way === 'over HTTP' ? proxy.url : third.url, 'anna', phone.source);
    closing.push(() => again.close());
    again.connection.start();
    await again.until(() => isInStep(again));
    const desk = await device(third.url).online();
    await desk.until(() => Object.keys(desk.records).join() === 'p,r,s');
  },
);
