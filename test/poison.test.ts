import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { SyncError } from '../server/errors.js';
import { messages } from '../server/protocol/yjs.js';
import { NativeDevice } from './support/devices/native-device.js';
import { RawNative } from './support/devices/raw-native.js';
import { HandFlushed } from './support/hand-flushed.js';
import {
  cycle,
  deepThenDelete,
  overlapOfCollected,
  protoKey,
  protoRoot,
  randomBytes,
  refusedUpdates,
  rootOfAnotherKind,
  subdocument,
  truncations,
  v2Of,
} from './support/hostile.js';
import { passUnchecked } from './support/pass-unchecked.js';
import { startServer, type TestServer } from './support/server.js';

/** A small update of an honest client. */
function small(): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = 7_001;
  doc.getMap('appointments').set('a1', new Y.Map([['status', 'booked']]));
  return doc;
}

const asUpdates = (updates: Record<string, Uint8Array>): [string, Uint8Array[]][] =>
  Object.entries(updates).map(([name, update]) => [name, [messages.update(update)]]);

const POISONS: [string, Uint8Array[]][] = [
  ...asUpdates(refusedUpdates()),
  ...asUpdates({
    'an update in encoding V2': v2Of(small()),
    'a sub-document': subdocument(),
    'a root named __proto__': protoRoot(),
    'two structs that wait for each other': cycle(),
    'an empty update': new Uint8Array(0),
  }),
  ...[0, 1, 2, 3, 10].flatMap((levels) => asUpdates({ [`__proto__ ${levels} maps deep`]: protoKey(levels) })),
  ...[1, 2, 3, 4].flatMap((seed) =>
    asUpdates({ [`random bytes ${seed} as an update`]: randomBytes(seed, 40 * seed) }),
  ),
  ...[5, 6, 7].map((seed): [string, Uint8Array[]] => [
    `random bytes ${seed} as a message`,
    [Uint8Array.of(5 + seed, ...randomBytes(seed, 30))],
  ]),
  ['V2 bytes as a SyncStep2', [messages.syncStep2(v2Of(small()))]],
  ['a message of no bytes', [new Uint8Array(0)]],
  ['a chain of 2,000 maps, and its deletion', deepThenDelete(2_000).map(messages.update)],
  ['an update on which Yjs throws', overlapOfCollected().map(messages.update)],
];

describe('[S1 S2 S3 N8] poison closes its own connection with 1007, and nobody else notices', () => {
  let folder: string;
  let server: TestServer;
  let phone: NativeDevice;
  let attackers = 0;
  const edits: Record<string, number> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poison-'));
    server = await startServer({ DATA_DIR: folder });
    phone = await NativeDevice.connect(server.url, 'anna', 'phone');
  });

  afterAll(async () => {
    phone.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const edit = (name: string): void => {
    edits[name] = Object.keys(edits).length;
    phone.record('appointments', 'own').set(name, edits[name]);
  };

  /** Sends the messages as a device that was never seen, while the phone edits before and after. */
  async function attack(...poison: (Uint8Array | string)[]): Promise<{ code: number; reason: string }> {
    const raw = await RawNative.connect(server.url, 'anna', `attacker-${++attackers}`);
    edit(`before ${attackers}`);
    for (const message of poison) raw.send(message);
    edit(`while ${attackers}`);
    const closed = await raw.end();
    edit(`after ${attackers}`);
    return closed;
  }

  /** Whatever came, the phone kept its one connection, and all that it wrote is confirmed. */
  afterEach(async () => {
    await phone.saved();
    expect(phone.connections).toBe(1);
    expect(phone.closes).toEqual([]);
    expect(phone.json()).toEqual({ appointments: { own: edits } });
  });

  test.each(POISONS)('%s', async (_, poison) => {
    expect((await attack(...poison)).code).toBe(1007);
  });

  test('every truncation of an update', async () => {
    const update = Y.encodeStateAsUpdate(small());
    for (const part of truncations(update)) expect((await attack(messages.update(part))).code).toBe(1007);
  });

  test('every truncation of a message', async () => {
    const message = messages.syncStep2(Y.encodeStateAsUpdate(small())).subarray(0, 24);
    for (const part of truncations(message)) expect((await attack(part)).code).toBe(1007);
  });

  test.each(['', '{}', 'hello'])('a text frame %j', async (text) => {
    expect((await attack(text)).code).toBe(1007);
  });

  test('the close reason names a root of another kind', async () => {
    const { code, reason } = await attack(messages.update(rootOfAnotherKind()));
    expect(code).toBe(1007);
    expect(reason).toContain('notes');
  });

  test('after all that, a reload from disk has every edit', async () => {
    expect(attackers).toBeGreaterThan(60);
    const saved = await server.app.close();
    phone.close();
    server = await startServer({ DATA_DIR: folder });
    expect(saved).toBe(true);
    const kept = phone.json();
    phone = await NativeDevice.connect(server.url, 'anna', 'tablet');
    expect(phone.json()).toEqual(kept);
    expect(kept).toEqual({ appointments: { own: edits } });
  });
});

test('[N8] after three such closes in a minute, this device gets HTTP 429, and only this one', async () => {
  const server = await startServer();
  try {
    const bystander = await NativeDevice.connect(server.url, 'anna', 'phone');
    for (let i = 0; i < 3; i++) {
      const raw = await RawNative.connect(server.url, 'anna', 'bad');
      raw.send('poison');
      expect((await raw.end()).code).toBe(1007);
    }
    const refused = new RawNative(server.url, 'anna', 'bad');
    expect(await refused.until(() => refused.status)).toBe(429);
    const [tablet, ben] = [
      await NativeDevice.connect(server.url, 'anna', 'tablet'),
      await NativeDevice.connect(server.url, 'ben', 'bad'),
    ];
    bystander.record('appointments', 'x').set('status', 'booked');
    await tablet.until(() => tablet.collection('appointments').has('x'));
    expect(ben.json()).toEqual({});
    expect(bystander.connections).toBe(1);
    for (const device of [bystander, tablet, ben]) device.close();
  } finally {
    await server.close();
  }
});

describe('[S1 N3] a rebuild, with commits that are not durable yet', () => {
  async function worldWithHeldEdits() {
    let id = 100;
    const world = await HandFlushed.open({ natives: [1, 2, 3], jsons: 1, serverIds: () => id++ });
    const [phone, tablet, attacker] = world.natives;
    const [json] = world.jsons;
    if (!phone || !tablet || !attacker || !json) throw new Error('unreachable');
    passUnchecked();
    await world.quiesce();
    world.store.hold();
    const set = (device: typeof phone, key: string) =>
      device.doc.getMap('notes').set(key, new Y.Map([['by', key]]));
    set(phone, 'accepted');
    phone.flush();
    json.update('notes', { id: 'json-accepted' });
    json.flush();
    for (const update of overlapOfCollected()) attacker.say(messages.update(update));
    attacker.flush();
    return { world, phone, tablet, attacker, json, set };
  }

  const keysOf = (doc: Y.Doc) => [...doc.getMap('notes').keys()].sort();

  test('what was accepted survives, and what arrives meanwhile is applied after it', async () => {
    const { world, phone, tablet, attacker, json, set } = await worldWithHeldEdits();
    const [rebuilt, closed] = world.faults.splice(0);
    expect(rebuilt).not.toBeInstanceOf(SyncError);
    expect((closed as SyncError).closeCode).toBe(1007);
    set(phone, 'meanwhile');
    set(tablet, 'other');
    json.update('notes', { id: 'json-meanwhile' });
    for (const device of [phone, tablet, json]) device.flush();
    await world.settle();
    expect(keysOf(tablet.doc)).toEqual(['other']);
    attacker.disconnect();
    await world.quiesce();
    expect(world.faults).toEqual([]);
    const all = ['accepted', 'json-accepted', 'json-meanwhile', 'meanwhile', 'other'];
    for (const { doc } of world.natives) expect(keysOf(doc)).toEqual(all);
    expect(Object.keys(json.view().notes ?? {}).sort()).toEqual(all);
    expect(keysOf(world.reloaded().doc)).toEqual(all);
  });

  test('a connection that opens during it gets everything, SyncStep1 first', async () => {
    const { world, phone, tablet, attacker } = await worldWithHeldEdits();
    world.faults.length = 0;
    attacker.disconnect();
    tablet.disconnect();
    tablet.connect();
    tablet.flush();
    await world.quiesce();
    expect(world.faults).toEqual([]);
    expect(keysOf(tablet.doc)).toEqual(keysOf(phone.doc));
    expect(keysOf(tablet.doc)).toEqual(['accepted', 'json-accepted']);
  });

  test('the process may end in the middle of it: devices send again what was not durable', async () => {
    const { world, phone, json } = await worldWithHeldEdits();
    world.faults.length = 0;
    await world.restart();
    expect(keysOf(world.reloaded().doc)).toEqual([]);
    await world.quiesce();
    expect(world.faults).toEqual([]);
    expect(keysOf(phone.doc)).toEqual(['accepted', 'json-accepted']);
    expect(Object.keys(json.view().notes ?? {}).sort()).toEqual(['accepted', 'json-accepted']);
  });
});
