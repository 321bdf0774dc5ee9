import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { onLine } from '../support/child.js';
import { inTime, PATIENCE } from '../support/wait.js';

/** Devices that live and die in one process, each with a folder of its own. */
const DEVICES = 4;
/** Deaths of a device. */
const KILLS = 100;

interface Life {
  readonly found: readonly string[];
  readonly pending: number;
  readonly resolved: readonly string[];
}

/** Starts the devices, and kills them when all have begun and one has had that many writes resolved. */
async function live(folders: readonly string[], killed: number, writes: number): Promise<Life[]> {
  const child = spawn(process.execPath, ['test/support/kill-client.mjs', ...folders], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: string[][] = folders.map(() => []);
  onLine(child, (line) => {
    const [device = ''] = line.split(' ', 1);
    said[Number(device)]?.push(line.slice(device.length + 1));
    if (said.every((lines) => lines.length > 0) && (said[killed]?.length ?? 0) > writes)
      child.kill('SIGKILL');
  });
  await inTime(closed(child), () => 'the end of the devices', PATIENCE);
  return said.map(([first = '', ...resolved]) => {
    const [, pending = '', ids = '[]'] = /^found (\d+) (.*)$/.exec(first) ?? [];
    return { found: JSON.parse(ids) as string[], pending: Number(pending), resolved };
  });
}

const closed = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => child.on('close', resolve));

/** What was resolved and is missing, and by how much a device counts wrong what is pending. */
async function killAgainAndAgain(
  folder: string,
  kills: number,
): Promise<{ missing: string[]; wrong: number[] }> {
  const folders = Array.from({ length: DEVICES }, (_, device) => join(folder, `${device}`));
  const resolved = folders.map(() => new Set<string>());
  const [missing, wrong]: [string[], number[]] = [[], []];
  for (let kill = 0; kill <= kills; kill++) {
    // From none at all to more than a hundred, so that compactions are interrupted as well.
    const lives = await live(folders, kill % DEVICES, (kill * 37) % 120);
    for (const [device, { found, pending, resolved: now }] of lives.entries()) {
      const before = resolved[device] ?? new Set();
      const there = new Set(found);
      missing.push(...[...before].filter((id) => !there.has(id)));
      if (pending !== there.size) wrong.push(pending - there.size);
      for (const id of now) before.add(id);
    }
  }
  return { missing, wrong };
}

test(
  `[C4 C5 P6] devices that are killed ${KILLS} times have every record whose addData resolved, each pending`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'devices-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    expect(await killAgainAndAgain(folder, KILLS / DEVICES)).toEqual({ missing: [], wrong: [] });
  },
  12 * PATIENCE,
);
