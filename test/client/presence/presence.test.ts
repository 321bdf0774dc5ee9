/** Who is there, on the real server; and what no server lets happen, by hand. */
import { afterEach, describe, expect, test } from 'vitest';
import { LivePresence, type PresenceEntry } from '../../../client/presence/presence.js';
import type { AwarenessEntry } from '../../../shared/yjs-messages.js';
import { ConnectedDevice } from '../../support/devices/connected-device.js';
import { NativeDevice } from '../../support/devices/native-device.js';
import { ManualClock } from '../../support/manual-clock.js';
import { startServer, type TestServer } from '../../support/server.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function server(): Promise<TestServer> {
  const started = await startServer();
  closing.push(() => started.close());
  return started;
}

function device(url: string): ConnectedDevice {
  const made = new ConnectedDevice(url, 'anna');
  closing.push(() => made.close());
  return made;
}

const names = (entries: readonly PresenceEntry[]): unknown[] => entries.map(({ state }) => state.name);
const others = ({ presence }: ConnectedDevice): unknown[] =>
  names(presence.current.filter(({ self }) => !self));

describe('[N6] on a server', () => {
  test('two clients see each other, changes, and that one left', async () => {
    const { url } = await server();
    const phone = device(url);
    phone.presence.set({ name: 'phone' }); // before it is connected
    await phone.online();
    const desk = await device(url).online();
    desk.presence.set({ name: 'desk' });
    await desk.until(() => others(desk).join() === 'phone');
    await phone.until(() => others(phone).join() === 'desk');
    expect(phone.presence.current.map(({ self, clientId }) => [self, clientId])).toEqual([
      [true, phone.source.doc.clientID],
      [false, desk.source.doc.clientID],
    ]);
    desk.presence.set({ name: 'desk 2' });
    await phone.until(() => others(phone).join() === 'desk 2');
    desk.presence.set(null);
    await phone.until(() => others(phone).length === 0);
    desk.presence.set({ name: 'desk 3' });
    await phone.until(() => others(phone).join() === 'desk 3');
    desk.connection.stop();
    await phone.until(() => others(phone).length === 0);
    expect(names(desk.presence.current)).toEqual(['desk 3']);
  });

  test('a client that comes back is seen again, by y-websocket too', async () => {
    const { url } = await server();
    const desk = await NativeDevice.connect(url, 'anna', 'native');
    closing.push(() => desk.close());
    desk.provider.awareness.setLocalState({ name: 'native' });
    const phone = await device(url).online();
    const seen = (): unknown => desk.provider.awareness.getStates().get(phone.source.doc.clientID)?.name;
    phone.presence.set({ name: 'phone' });
    await desk.until(() => seen() === 'phone');
    await phone.until(() => others(phone).join() === 'native');
    phone.connection.stop();
    await desk.until(() => seen() === undefined);
    expect(others(phone)).toEqual([]);
    await phone.online();
    await desk.until(() => seen() === 'phone');
    await phone.until(() => others(phone).join() === 'native');
    desk.offline();
    await phone.until(() => others(phone).length === 0);
  });
});

describe('[N6] by hand', () => {
  function connected() {
    const clock = new ManualClock();
    const sent: AwarenessEntry[] = [];
    const presence = new LivePresence({ clientID: 7 }, clock);
    const connect = (): void => presence.connected((entries) => sent.push(...entries));
    connect();
    return { clock, sent, presence, connect };
  }

  test('nothing is said before something was set, and then it is renewed each 15 s', () => {
    const { clock, sent, presence } = connected();
    clock.pass(60_000);
    expect(sent).toEqual([]);
    presence.set({ name: 'phone' });
    clock.pass(30_000);
    expect(sent.map(({ clock: at, state }) => [at, state])).toEqual(
      [1, 2, 3].map((at) => [at, '{"name":"phone"}']),
    );
    presence.set(null);
    clock.pass(60_000);
    expect(sent.slice(3)).toEqual([{ id: 7, clock: 4, state: 'null' }]);
    expect(clock.waiting).toBe(0);
  });

  test('the entries stay the same objects until one changes', () => {
    const { presence, clock } = connected();
    let calls = 0;
    presence.subscribe(() => calls++);
    presence.applyRemote([{ id: 9, clock: 1, state: '{"name":"desk"}' }]);
    const before = presence.current;
    presence.applyRemote([{ id: 9, clock: 2, state: '{"name":"desk"}' }]);
    presence.applyRemote([]);
    clock.pass(60_000);
    expect(presence.current).toBe(before);
    expect(calls).toBe(1);
    presence.applyRemote([{ id: 8, clock: 1, state: '{"name":"bed"}' }]);
    expect(presence.current[0]).toBe(before[0]);
    expect(calls).toBe(2);
  });

  test('old news, news of itself and states that are no objects are passed over', () => {
    const { presence } = connected();
    presence.set({ name: 'phone' });
    presence.applyRemote([
      { id: 9, clock: 5, state: '{"name":"new"}' },
      { id: 9, clock: 4, state: '{"name":"old"}' },
      { id: 7, clock: 99, state: '{"name":"forged"}' },
      { id: 10, clock: 1, state: '[1]' },
      { id: 11, clock: 1, state: '"text"' },
      { id: 12, clock: 1, state: '{' },
    ]);
    expect(names(presence.current)).toEqual(['phone', 'new']);
    presence.applyRemote([{ id: 9, clock: 5, state: 'null' }]);
    expect(names(presence.current)).toEqual(['phone']);
  });

  test('each connection raises the clock, so that peers who saw it go see it again', () => {
    const { sent, presence, connect, clock } = connected();
    presence.set({ name: 'phone' });
    presence.disconnected();
    clock.pass(60_000);
    connect();
    expect(sent.map(({ clock: at }) => at)).toEqual([1, 2]);
    presence.disconnected();
    expect(clock.waiting).toBe(0);
  });

  test('4 KB are taken, a byte more is refused', () => {
    const { presence } = connected();
    const frame = JSON.stringify({ name: '' }).length;
    presence.set({ name: 'x'.repeat(4_096 - frame) });
    const tooLong = { name: `ü${'x'.repeat(4_096 - frame - 1)}` };
    expect(() => presence.set(tooLong)).toThrow(expect.objectContaining({ code: 'INVALID_OPTIONS' }));
  });
});
