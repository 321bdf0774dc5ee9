/**
 * Fills the disk under a server with load, and makes room again: `tsx test/faults/full-disk.ts [--short] [--seed N]`
 * mounts a small file system in a name space of its own and runs itself there.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { buildIfOld } from '../support/build.js';
import { NativeDevice } from '../support/devices/native-device.js';
import { ServerProcess } from '../support/server-process.js';
import { inTime } from '../support/wait.js';
import { Chance } from './chance.js';
import { Household } from './household.js';
import { read } from './http-writers.js';
import { startEdits, startLoad } from './load.js';

const { values } = parseArgs({
  options: { short: { type: 'boolean' }, seed: { type: 'string' }, inside: { type: 'string' } },
});
const seed = Number(values.seed ?? randomInt(2 ** 32));
const OPTIONS = { COMPACT_UPDATES: '15', IDLE_TIMEOUT: '200ms', LOG_FORMAT: 'json', LOG_LEVEL: 'info' };
const say = (line: string): void => void process.stdout.write(`full disk: ${line}\n`);

/** All the room that is left on the disk. */
class Filler {
  readonly #file: string;

  constructor(mount: string) {
    this.#file = join(mount, 'filler');
  }

  /** Takes what room there is. */
  fill(): void {
    const file = openSync(this.#file, 'a');
    for (const size of [1 << 20, 1 << 16, 1 << 12]) while (hasWritten(file, size));
    closeSync(file);
  }

  makeRoom(): void {
    rmSync(this.#file);
  }
}

function hasWritten(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) === size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}

class FullDiskRun {
  readonly problems: string[] = [];
  readonly #server: ServerProcess;
  readonly #filler: Filler;
  readonly #chance = new Chance(seed);
  /** They edit on all devices, one edits on its JSON device only, and one only reads while the disk is full. */
  readonly #writers: readonly Household[];
  readonly #jsonWriter: Household;
  readonly #reader: Household;

  constructor(server: ServerProcess, filler: Filler) {
    this.#server = server;
    this.#filler = filler;
    const household = (user: string) => new Household(server.url, user, this.#newChance, () => {});
    this.#writers = [household('anna'), household('bert')];
    this.#jsonWriter = household('dora');
    this.#reader = household('carl');
  }

  async prepare(): Promise<void> {
    await Promise.all(this.#all.map((household) => household.prepare()));
  }

  async round(round: number): Promise<void> {
    for (const household of this.#all) household.round = round;
    await this.#settle();
    await this.#loadAll();
    await this.#whileFull();
    if (round % 3 === 0) await this.#restart(() => this.#filler.makeRoom());
    else await this.#recover();
    await this.#check('after the recovery');
    await this.#settle();
    await this.#restart();
    await this.#check('after a restart');
  }

  close(): void {
    for (const household of this.#all) household.close();
  }

  readonly #newChance = (): Chance => new Chance(this.#chance.below(2 ** 32));

  get #all(): readonly Household[] {
    return [...this.#writers, this.#jsonWriter, this.#reader];
  }

  get #losing(): readonly Household[] {
    return [...this.#writers, this.#jsonWriter];
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) this.problems.push(what);
  }

  async #settle(): Promise<void> {
    for (const { natives } of this.#all) for (const { device } of natives) device.closes.length = 0;
    const found = await Promise.all(this.#all.map((household) => household.settle()));
    this.problems.push(...found.flat());
    await this.#expectReady(200);
  }

  async #check(when: string): Promise<void> {
    const found = await Promise.all(this.#all.map((household) => household.problems()));
    this.problems.push(...found.flat().map((problem) => `${when}, ${problem}`));
  }

  async #status(path: string): Promise<number> {
    const response = await read(this.#server.url + path);
    await response.arrayBuffer();
    return response.status;
  }

  async #expectReady(status: number): Promise<void> {
    const [ready, health] = await Promise.all([this.#status('/ready'), this.#status('/health')]);
    this.#expect(ready === status, `GET /ready answered ${ready} instead of ${status}`);
    this.#expect(health === 200, `GET /health answered ${health}`);
  }

  /** Everybody writes for a while, so that there is something that may not be lost. */
  async #loadAll(): Promise<void> {
    const stop = startLoad(this.#all, this.#newChance);
    await pause(this.#chance.between(100, 400));
    await stop();
    for (const writer of this.#reader.writers) await writer.settle();
  }

  async #whileFull(): Promise<void> {
    const stops = [
      startLoad(this.#writers, this.#newChance),
      startEdits(this.#jsonWriter.json, this.#newChance()),
    ];
    await pause(this.#chance.between(0, 200));
    await this.#fillUntilDown();
    await Promise.all(this.#losing.map((household) => this.#expectTold(household)));
    await this.#expectReady(503);
    await this.#expectReads();
    for (const stop of stops) await stop();
    await Promise.all(this.#losing.map((household) => household.disconnected()));
    const { errors } = this.#jsonWriter.json;
    this.#expect(errors.includes('NOT_SAVED'), `a JSON device was told ${errors} instead of NOT_SAVED`);
    for (const { json } of this.#all) {
      const others = json.errors.splice(0).filter((code) => code !== 'NOT_SAVED');
      this.#expect(others.length === 0, `a JSON device was told ${others}`);
    }
  }

  /** A reopen may find a little room, as LevelDB tidies up; that is taken too. */
  async #fillUntilDown(): Promise<void> {
    const patience = Date.now() + 15_000;
    for (let times = 0; times < 10 && Date.now() < patience; ) {
      this.#filler.fill();
      times = (await this.#status('/ready')) === 503 ? times + 1 : 0;
      await pause(20);
    }
  }

  /** The connections of whoever wrote end, by the server's word. */
  async #expectTold(household: Household): Promise<void> {
    const { user, json, natives } = household;
    const closes = [
      json.device?.end().then(({ code }) => code),
      ...natives.map(({ device }) => device.until(() => device.closes.at(-1))),
    ];
    const codes = await inTime(Promise.all(closes), () => `the end of the connections of ${user}`);
    this.#expect(
      codes.every((code) => code === 1011),
      `the connections of ${user} closed with ${codes}`,
    );
  }

  /** Who changes nothing keeps its connections, and new ones get everything. */
  async #expectReads(): Promise<void> {
    const { json, natives, writers, user } = this.#reader;
    for (const writer of writers) await writer.settle();
    const fresh = await NativeDevice.connect(this.#server.url, user, 'fresh');
    fresh.close();
    fresh.doc.destroy();
    const found = await this.#reader.problems(false);
    this.problems.push(...found.map((problem) => `while the disk is full, ${problem}`));
    const closed = natives.some(({ device }) => device.closes.length > 0) || json.device?.closed !== null;
    this.#expect(!closed, 'a reader was disconnected');
  }

  async #recover(): Promise<void> {
    const from = this.#server.lines.length;
    this.#filler.makeRoom();
    await this.#server.line(/"event":"storeRecovered"/, from);
    await this.#expectReady(200);
    for (const writer of this.#reader.writers) writer.edit();
    for (const writer of this.#reader.writers) await writer.settle();
    for (const writer of this.#reader.writers) await writer.disconnect();
  }

  async #restart(meanwhile: () => void = () => {}): Promise<void> {
    await this.#server.kill();
    await Promise.all(this.#all.map((household) => household.disconnected()));
    meanwhile();
    await this.#server.restart();
  }
}

// Each provider listens for the end of the process.
process.setMaxListeners(30);

async function runInside(mount: string): Promise<void> {
  const server = await ServerProcess.start({ ...OPTIONS, DATA_DIR: join(mount, 'data') });
  const run = new FullDiskRun(server, new Filler(mount));
  const rounds = values.short ? 2 : 6;
  try {
    await run.prepare();
    for (let round = 1; round <= rounds && run.problems.length === 0; round++) {
      await run.round(round);
      say(`round ${round} of ${rounds}: filled, told, recovered`);
    }
  } finally {
    run.close();
    await server.dispose();
  }
  for (const problem of run.problems) say(`LOST: ${problem}`);
  if (run.problems.length > 0) process.exitCode = 1;
}

/** Room for a few log files of LevelDB. */
const SCRIPT = 'mount -t tmpfs -o size=32m tmpfs "$0" && exec "$@"';

async function runOutside(): Promise<void> {
  const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;
  if (!canMount && process.env.CI !== 'true') {
    say('SKIPPED: mounting a small file system (unshare -rm) is not permitted here');
    return;
  }
  buildIfOld();
  const mount = await mkdtemp(join(tmpdir(), 'full-disk-'));
  const self = [process.execPath, '--import', 'tsx', 'test/faults/full-disk.ts', '--inside', mount];
  const options = ['--seed', `${seed}`, ...(values.short ? ['--short'] : [])];
  const args = ['-rm', 'sh', '-c', SCRIPT, mount, ...self, ...options];
  const child = spawn('unshare', args, { stdio: 'inherit' });
  process.exitCode = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });
  await rm(mount, { recursive: true });
  say(process.exitCode === 0 ? `passed, seed ${seed}` : `FAILED, seed ${seed}`);
}

await (values.inside === undefined ? runOutside() : runInside(values.inside));
