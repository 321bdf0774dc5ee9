import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onLine } from '../support/child.js';
import { inTime, PATIENCE } from '../support/wait.js';

const KILLS = 100;
/** Devices that are killed side by side, each with a folder of its own. */
const DEVICES = 4;

interface Run {
  readonly found: readonly string[];
  readonly pending: number;
  readonly resolved: readonly string[];
}

/** Starts the device, and kills it after that many writes have resolved. */
async function run(folder: string, writes: number): Promise<Run> {
  const child = spawn(process.execPath, ['test/support/kill-client.mjs', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  onLine(child, (line) => {
    lines.push(line);
    if (lines.length === 1 + writes) child.kill('SIGKILL');
  });
  await inTime(closed(child), () => 'the end of the device', 20_000);
  const [, pending = '', ids = '[]'] = /^found (\d+) (.*)$/.exec(lines[0] ?? '') ?? [];
  return { found: JSON.parse(ids) as string[], pending: Number(pending), resolved: lines.slice(1) };
}

const closed = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => child.on('close', resolve));

async function killAgainAndAgain(
  kills: number,
  seed: number,
): Promise<{ missing: string[]; wrong: number[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'device-'));
  const [resolved, missing, wrong]: [Set<string>, string[], number[]] = [new Set(), [], []];
  for (let kill = 0; kill <= kills; kill++) {
    // From none at all to some hundreds, so that compactions are interrupted as well.
    const result = await run(folder, (kill * 37 + seed * 11) % 120);
    const found = new Set(result.found);
    missing.push(...[...resolved].filter((id) => !found.has(id)));
    if (result.pending !== found.size) wrong.push(result.pending - found.size);
    for (const id of result.resolved) resolved.add(id);
  }
  await rm(folder, { recursive: true, force: true });
  return { missing, wrong };
}

test(
  `[C4 C5 P6] devices that are killed ${KILLS} times have every record whose addData resolved, each pending`,
  async () => {
    const runs = Array.from({ length: DEVICES }, (_, seed) => killAgainAndAgain(KILLS / DEVICES, seed));
    for (const { missing, wrong } of await Promise.all(runs)) {
      expect(missing).toEqual([]);
      expect(wrong).toEqual([]);
    }
  },
  12 * PATIENCE,
);
