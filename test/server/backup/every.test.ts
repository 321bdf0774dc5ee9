/** `telemed-sync backup --every`, as a process of its own. */
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { dueIn } from '../../../server/cli/backup.js';
import { useRoom } from '../../support/backups.js';
import { useServer } from '../../support/use.js';
import { Watched } from '../../support/wait.js';

const DAY = 86_400_000;

test('[P11] a backup is due a time after the last one, at once where there is none or the clock was set back', () => {
  expect(dueIn(DAY, null, 5 * DAY)).toBe(0);
  expect(dueIn(DAY, 4.5 * DAY, 5 * DAY)).toBe(DAY / 2);
  expect(dueIn(DAY, 3 * DAY, 5 * DAY)).toBe(0);
  expect(dueIn(DAY, 6 * DAY, 5 * DAY)).toBe(0);
});

describe('[P11] telemed-sync backup --every', () => {
  function run(backups: string, data: string) {
    const lines: string[] = [];
    const seen = new Watched();
    const child = spawn(
      process.execPath,
      ['packages/server/dist/server/cli/main.cjs', 'backup', backups, '--every', '1d', '--keep', '2'],
      { env: { PATH: process.env.PATH ?? '', DATA_DIR: data }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    onTestFinished(() => void child.kill('SIGKILL'));
    for (const input of [child.stdout, child.stderr])
      createInterface({ input }).on('line', (line) => {
        lines.push(line);
        seen.changed();
      });
    const printed = () =>
      seen.until(
        () => lines.at(-1),
        () => 'a line of the command',
      );
    const ended = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
    return { child, printed, ended };
  }

  test('makes one at once where there is none, stays, and lets the database go; then ends as it is told', async () => {
    const { data, backups } = await useRoom();
    await (await useServer({ DATA_DIR: data })).app.close();
    const first = run(backups, data);
    expect(await first.printed()).toMatch(/read back and whole\.$/);
    await (await useServer({ DATA_DIR: data })).app.close();
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe('SIGTERM');
    expect(await readdir(backups)).toHaveLength(1);
  });

  test('says why there is none, and goes on', async () => {
    const { room, backups } = await useRoom();
    const waiting = run(backups, join(room, 'elsewhere'));
    expect(await waiting.printed()).toContain('holds no database');
    expect(waiting.child.exitCode).toBeNull();
  });
});
