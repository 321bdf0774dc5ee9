import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { Chance } from '../../faults/chance.js';
import { canRecord, RecordedDisk } from '../../faults/recorded-disk.js';
import { ended, onLine, startProgram } from '../../support/child.js';
import { user } from '../../support/notes.js';

/** The build server has to prove it; elsewhere a compiler may be missing. */
const skipped = !canRecord() && process.env.CI !== 'true';
/** Calls on files: some of the first open, and those before and after LevelDB goes on to a second log. */
const MOMENTS = [4, 8, 12, 16, 25, 26, 27, 28, 29, 30, 31, 32];

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'power-'));
});
afterEach(() => rm(root, { recursive: true }));

/** The number of the last write that was acknowledged before the kill. */
async function writeUntilKilled(disk: RecordedDisk): Promise<number> {
  let last = 0;
  const child = startProgram('large-writer.ts', [disk.data], disk.command());
  onLine(child, (line) => {
    last = Number(line);
  });
  const end = await ended(child);
  expect(end, end.errors).toMatchObject({ signal: 'SIGKILL' });
  return last;
}

it.skipIf(skipped)(
  skipped
    ? '[P6] SKIPPED: it takes Linux and a C compiler (cc) to record what is synced'
    : '[P6] [P2] at each moment around a new log, what was acknowledged keeps its bytes and its name',
  async () => {
    let most = 0;
    for (const [index, moment] of MOMENTS.entries()) {
      const place = join(root, `${moment}`);
      await mkdir(place);
      const disk = await RecordedDisk.create(place);
      await disk.killAt(moment);
      const acknowledged = await writeUntilKilled(disk);
      const left = await disk.cutPower(new Chance(index), { onlyCertain: true });
      const store = await LevelStore.open({ folder: disk.data });
      const { revision, updates } = await store.load(user('anna'));
      await store.close();
      expect(revision, `killed before call ${moment}, ${left}`).toBeGreaterThanOrEqual(acknowledged);
      expect(updates).toHaveLength(revision);
      most = Math.max(most, acknowledged);
    }
    expect(most, 'a second log was begun').toBeGreaterThan(5);
  },
  120_000,
);
