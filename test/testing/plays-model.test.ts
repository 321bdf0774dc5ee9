/** Random plays of devices that are cut off, ended and late, and a server that crashes: at the end all have the same. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SyncClient } from '../../client/api/api.js';
import { seededRandom } from '../../client/testing/chance.js';
import { createTestWard } from '../../client/testing/index.js';
import type { TestWard } from '../../client/testing/ward.js';
import { runs } from '../support/runs.js';

const NATIVE = ['phone', 'tablet', 'desk'];
const JSON_DEVICES = ['old-tablet', 'old-phone'];
const DEVICES = [...NATIVE, ...JSON_DEVICES];
const FIELDS = ['status', 'room', 'note'];
const STEPS = 25;

let first: TestWard;
beforeAll(async () => {
  first = await createTestWard(); // the server is loaded once
});
afterAll(() => first.close());

type Play = { readonly ward: TestWard; readonly pick: <T>(of: readonly T[]) => T; value: number };

/** Each value is written once, so that it can be told where it came from. */
async function write(play: Play): Promise<void> {
  const { ward, pick } = play;
  const [device, id, field] = [pick(DEVICES), pick(['a1', 'a2']), pick(FIELDS)];
  const value = ++play.value;
  if (JSON_DEVICES.includes(device)) {
    const json = ward.jsonDevice(device);
    const record = json.record('appointments', id) ?? { id };
    json.write('appointments', { ...record, [field]: value });
  } else await ward.device(device).addData('appointments', { id, [field]: value });
}

const STEPS_OF_PLAY: readonly ((play: Play) => unknown)[] = [
  write,
  write,
  write,
  write,
  ({ ward, pick }) => ward.cut(pick(DEVICES)),
  ({ ward, pick }) => ward.mend(pick(DEVICES)),
  ({ ward, pick }) => ward.restart(pick(NATIVE)),
  ({ ward }) => ward.crash(),
  ({ ward, pick }) => ward.clock.advance(pick(['5s', '40m', '3d'])),
  ({ ward }) => ward.settled(),
];

const recordsOf = (ward: TestWard, name: string) =>
  JSON_DEVICES.includes(name)
    ? ward.jsonDevice(name).records('appointments')
    : ward.device(name).getData('appointments');

test.each(Array.from({ length: runs(16) }, (_, i) => i + 1))('[P1 C4 D1] play %i', async (seed) => {
  const random = seededRandom(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const ward = await createTestWard({ devices: NATIVE, seed });
  try {
    for (const name of JSON_DEVICES) ward.jsonDevice(name);
    await ward.settled();
    const play = { ward, pick, value: 0 };
    for (let step = 0; step < STEPS; step++) await pick(STEPS_OF_PLAY)(play);
    ward.mend();
    await ward.settled();
    const found = await Promise.all(DEVICES.map((name) => recordsOf(ward, name)));
    for (const records of found) expect(records).toEqual(found[0]);
    const pending = NATIVE.map((name) => ward.device(name) as SyncClient);
    expect(pending.map(({ status }) => status.current.pendingChanges)).toEqual([0, 0, 0]);
  } finally {
    await ward.close();
  }
});
