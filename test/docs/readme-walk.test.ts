/** The walk of the README, command by command, on a server of its own. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { read } from '../project/sources.js';
import { ServerProcess } from '../support/server-process.js';

const walk = read('README.md').split('## Five minutes\n')[1]?.split('\n## ')[0] ?? '';
/** What it has the reader type into the second terminal. */
const commands = [...walk.matchAll(/^```sh\n(.*?)^```$/gms)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .filter((line) => !line.startsWith('npm '));

test('[D3 D4 L4 H6 P6] every command of the walk prints what the README says', async () => {
  const server = await ServerProcess.start();
  const folder = await mkdtemp(join(tmpdir(), 'walk-'));
  onTestFinished(async () => {
    await server.dispose();
    await rm(folder, { recursive: true, force: true });
  });
  const env = { PATH: process.env.PATH, TMPDIR: folder, SERVER: server.url.replace('http', 'ws') };
  const type = async (command: string): Promise<string> => {
    const there = command.replaceAll('http://127.0.0.1:3001', server.url);
    return (await promisify(execFile)('bash', ['-c', there], { env })).stdout;
  };
  const printed: string[] = [];
  for (const [index, command] of commands.entries()) {
    if (index === commands.length - 1) {
      await server.stop();
      await server.restart();
    }
    printed.push(await type(command));
  }
  const after = (start: string, nth = 0): string =>
    printed[commands.flatMap((line, index) => (line.startsWith(start) ? [index] : []))[nth] ?? -1] ?? '';
  const PHONE = 'node docs/examples/json-device.mjs phone';
  const SYNC = 'node docs/examples/native-device.mjs sync';

  for (const type of ['FULL_SYNC', 'CONNECTION_CONFIRMED', 'ACK', 'DATA_UPDATE'])
    expect(after(PHONE)).toContain(type);
  expect(after(SYNC, 1)).toContain('{"a1":{"id":"a1","status":"arrived","room":7}}');
  expect(after(PHONE, 2)).toContain('"fromDevice":"server"');
  expect(JSON.parse(after(SYNC, 2).trim().split('\n').at(-1) ?? '')).toMatchObject({
    a1: { status: 'waiting', room: 7 },
    a2: { id: 'a2', status: 'booked', room: expect.anything() },
  });
  expect(JSON.parse(printed.at(-1) ?? '')).toMatchObject({
    appointments: [
      { id: 'a1', status: 'booked', room: 4 },
      { id: 'a2', status: 'booked' },
    ],
  });
});
