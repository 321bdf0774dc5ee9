/** The programs of docs/guides/OTHER-DEVICES.md, as they are there, each a process of its own. */
import { type ChildProcess, execFile } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { read } from '../project/sources.js';
import { JsonDevice } from '../support/devices/json-device.js';
import { useServer } from '../support/use.js';

/** Runs it against another port; ends it with the test. */
function run(name: string, port: number): ChildProcess {
  const code = read(`docs/examples/guides/${name}.mjs`).replace('127.0.0.1:3001', `127.0.0.1:${port}`);
  const child = execFile(process.execPath, ['--input-type=module', '--eval', code]);
  onTestFinished(() => void child.kill());
  return child;
}

test('[L2 N1] the two programs of the guide reach a third device with what they write', async () => {
  const server = await useServer();
  const tablet = await JsonDevice.connect(server.url, 'demo', 'tablet');
  onTestFinished(async () => void (await tablet.close()));
  run('json-app', server.port);
  run('native-app', server.port);
  await tablet.until(() => tablet.store.appointments?.a3 && tablet.store.appointments?.a4);
  expect(tablet.store.appointments).toEqual({
    a3: { id: 'a3', status: 'booked' },
    a4: { id: 'a4', status: 'booked', room: 2 },
  });
});
