/**
 * The installed server under PM2, by its own `ecosystem.config.cjs`: start, reload while somebody writes, logs, stop.
 * PM2 is installed into a folder of its own, since its license (AGPL-3.0) is none for a dependency.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.js';
import { JWT, tokenFor } from '../test/support/tokens.js';

const VERSION = '7.0.4';
const NAME = 'telemed-sync';
const PATIENCE = 30_000; // ms

type Run = (
  folder: string,
  program: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
) => Promise<string>;

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** A device that goes on, whatever becomes of its requests; what was answered with 200 has to be there. */
class Writer {
  readonly saved: string[] = [];
  readonly #url: string;
  readonly #headers: Record<string, string>;
  #isWanted = true;
  readonly #done: Promise<void>;

  constructor(url: string, token: string) {
    this.#url = `${url}/api/sync/anna`;
    this.#headers = { Authorization: `Bearer ${token}` };
    this.#done = this.#write();
  }

  async stop(): Promise<void> {
    this.#isWanted = false;
    await this.#done;
  }

  async stored(): Promise<Set<string>> {
    const answer = await fetch(this.#url, { headers: this.#headers });
    const { notes = [] } = (await answer.json()) as { notes?: { id: string }[] };
    return new Set(notes.map(({ id }) => id));
  }

  async #write(): Promise<void> {
    for (let n = 0; this.#isWanted; n++) {
      const data = { collection: 'notes', document: { id: `n${n}` } };
      const changes = [{ type: 'DATA_UPDATE', data, userId: 'anna', deviceId: 'desk' }];
      const request = { method: 'POST', headers: this.#headers, body: JSON.stringify({ changes }) };
      const answer = await fetch(this.#url, request).catch(() => null);
      if (answer?.status === 200) this.saved.push(`n${n}`);
      await answer?.text().catch(() => '');
      await sleep(answer === null ? 50 : 5);
    }
  }
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + PATIENCE; !(await holds()); await sleep(50))
    expect(Date.now() < end, `Not within ${PATIENCE} ms: ${what}`);
}

/** @param folder a project in which the packed server is installed */
export async function runUnderPm2(folder: string, run: Run): Promise<void> {
  const tools = join(folder, 'pm2');
  await run(folder, 'npm', [
    'install',
    '--prefix',
    tools,
    '--ignore-scripts',
    '--loglevel=error',
    `pm2@${VERSION}`,
  ]);
  const port = await freePort();
  const env = {
    ...JWT,
    PM2_HOME: join(folder, 'pm2-home'),
    PM2_DISABLE_VERSION_CHECK: 'true',
    DATA_DIR: join(folder, 'pm2-data'),
    HOST: '127.0.0.1',
    PORT: String(port),
  };
  const pm2 = (...args: string[]): Promise<string> =>
    run(folder, join(tools, 'node_modules/.bin/pm2'), args, env);
  try {
    await tryPm2(pm2, `http://127.0.0.1:${port}`);
  } finally {
    await pm2('kill');
  }
}

async function tryPm2(pm2: (...args: string[]) => Promise<string>, url: string): Promise<void> {
  const isReady = async (): Promise<boolean> =>
    (await fetch(`${url}/ready`).catch(() => null))?.status === 200;
  const pid = async (): Promise<string> => (await pm2('pid', NAME)).trim();
  await pm2('start', 'node_modules/telemed-sync-server/deploy/ecosystem.config.cjs');
  await until(isReady, 'ready after the start');
  const before = await pid();
  const writer = new Writer(url, await tokenFor('anna'));
  await until(() => writer.saved.length >= 20, '20 writes');
  await pm2('reload', NAME);
  await until(isReady, 'ready after the reload');
  expect((await pid()) !== before, 'PM2 did not start another process.');
  const soFar = writer.saved.length;
  await until(() => writer.saved.length >= soFar + 20, '20 more writes');
  await writer.stop();
  await pm2('stop', NAME);
  expect(!(await isReady()), 'It answers after the stop.');
  await pm2('start', NAME);
  await until(isReady, 'ready after another start');
  const stored = await writer.stored();
  const lost = writer.saved.filter((id) => !stored.has(id));
  expect(lost.length === 0, `Lost what was answered with 200: ${lost.join(', ')}`);
  const logs = await pm2('logs', NAME, '--nostream', '--raw', '--lines', '200');
  const ends = [...logs.matchAll(/"event":"shutdownFinished","durable":(\w+)/g)].map(
    ([, durable]) => durable,
  );
  expect(ends.join() === 'true,true', `The log has these ends: ${ends.join() || logs}`);
}
