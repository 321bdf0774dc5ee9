/** Documents leave the memory early where all together take too much (decision 045). */
import { describe, expect, it } from 'vitest';
import type { Origin } from '../../../../server/documents/changes.js';
import { MemoryLimit } from '../../../../server/documents/sleep/memory-limit.js';
import type { UserDocument } from '../../../../server/documents/user-document.js';
import type { DeviceId } from '../../../../shared/names.js';
import { notesOf, user } from '../../../support/notes.js';
import { client } from '../../../support/replicas.js';
import { ANNA, SleepWorld } from '../../../support/sleep-world.js';

const USERS = ['anna', 'bert', 'carl', 'dora'].map(user);
/** Documents of these tests take 30 KB and a little. */
const THREE = 100 * 1_024;

const ORIGIN: Origin = { via: 'http', device: 'd' as DeviceId, actor: null, subscriber: null };

const inMemory = ({ registry }: SleepWorld): string[] => registry.documents.map((each) => each.user).sort();

async function worldOf(memoryBudget: number, now: { at: number }): Promise<SleepWorld> {
  return new SleepWorld(undefined, { memoryBudget, uptime: () => now.at });
}

async function open(world: SleepWorld, name: (typeof USERS)[number], value = 1): Promise<() => void> {
  const { document, release } = await world.registry.open(name);
  document.write(ORIGIN, (into) => into.getMap('notes').set('n', value));
  await document.durable();
  return release;
}

describe('[P8] documents in memory', () => {
  it('that nobody uses leave it where they are too many, the one used least recently first', async () => {
    const now = { at: 0 };
    const world = await worldOf(THREE, now);
    for (const name of USERS.slice(0, 3)) {
      (await open(world, name))();
      now.at += 1_000;
    }
    (await open(world, ANNA, 2))();
    now.at += 1_000;
    world.registry.sleep();
    expect(inMemory(world)).toEqual(['anna', 'bert', 'carl']);
    (await open(world, user('dora')))();
    now.at += 1_000;
    world.registry.sleep();
    expect(inMemory(world)).toEqual(['anna', 'carl', 'dora']);
    expect((await world.inner.load(user('bert'))).rest).not.toBeNull();
  });

  it('stay while somebody uses them, or something of them is not durable', async () => {
    const now = { at: 0 };
    const world = await worldOf(0, now);
    const release = await open(world, ANNA);
    now.at += 1_000;
    world.registry.sleep();
    expect(inMemory(world)).toEqual(['anna']);
    world.inner.hold();
    const { document, release: leave } = await world.registry.open(ANNA);
    document.write(ORIGIN, (into) => into.getMap('notes').set('late', 1));
    for (const each of [release, leave]) each();
    now.at += 1_000;
    world.registry.sleep();
    expect(inMemory(world)).toEqual(['anna']);
    world.inner.release();
    await document.durable();
    expect(notesOf(await world.inner.load(ANNA))).toEqual({ n: 1, late: 1 });
    // It has changed before the first look, and is compacted at the second.
    for (let look = 0; look < 3; look++, now.at += 1_000) {
      world.registry.sleep();
      await world.settle();
    }
    expect(inMemory(world)).toEqual([]);
  });

  it('that are awake fall asleep under their connections, those that changed last do not', async () => {
    const now = { at: 0 };
    const world = await worldOf(THREE, now);
    for (const [index, of] of USERS.entries()) {
      await world.connect('phone', client(index + 5), { of });
      world.devices[index]?.set('a', index);
      await world.settle();
      now.at += 1_000;
      world.registry.sleep();
    }
    expect(inMemory(world)).toEqual(['bert', 'carl', 'dora']);
    world.devices[1]?.set('b', 1);
    await world.settle();
    now.at += 1_000;
    world.devices[0]?.set('a', 'again');
    await world.settle();
    now.at += 1_000;
    world.registry.sleep();
    expect(inMemory(world)).toEqual(['anna', 'bert', 'dora']);
    expect(world.devices.map(({ closed }) => closed)).toEqual([null, null, null, null]);
    expect(world.failures).toEqual([]);
  });
});

describe('a limit of the memory', () => {
  const documentOf = (name: string, changes = 0): UserDocument =>
    ({ user: user(name), rest: { memory: 100, changes } }) as unknown as UserDocument;

  it('[P8] lets go of no more than is needed, and passes by what can not go', () => {
    const gone: string[] = [];
    const limit = new MemoryLimit(250, ({ user: name }) => name !== 'b' && gone.push(name) > 0);
    const all = ['a', 'b', 'c', 'd'].map((name, index) => {
      const document = documentOf(name);
      limit.use(document, index);
      return document;
    });
    limit.look(() => all.slice(0, 2), 1_000);
    expect(gone).toEqual([]);
    limit.look(() => all, 1_100); // too soon after the last one
    expect(gone).toEqual([]);
    limit.look(() => all, 2_000);
    expect(gone).toEqual(['a', 'c']);
  });
});
