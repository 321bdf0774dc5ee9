import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerProcess } from '../support/server-process.js';
import { Chance } from './chance.js';
import type { CrashResult } from './crash.js';
import { Household } from './household.js';
import { Injector } from './injector.js';
import { startLoad } from './load.js';
import { ready } from './ready.js';
import { RecordedDisk } from './recorded-disk.js';

export interface EioOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly report?: (line: string) => void;
}

export interface EioResult extends CrashResult {
  /** How often the store failed, and how often it was ready again by itself. */
  readonly failures: number;
  readonly recoveries: number;
}

const OPTIONS = {
  COMPACT_UPDATES: '25',
  IDLE_TIMEOUT: '200ms',
  REST_AFTER: '20ms',
  LOG_FORMAT: 'json',
  LOG_LEVEL: 'info',
};
const USERS = ['anna', 'bert'];
const TOLD = 1011;
/** For a sync that fails, in ms: strace slows the server down, and counts each thread's calls by itself. */
const LONGEST_WAIT = 60_000;

/**
 * Makes syncs of the server fail under load. Whoever wrote has to be told, the store has to work again by itself
 * once the disk does, and nothing may be lost that was seen or confirmed: not then, and not when the power goes while
 * syncs fail, with which everything is gone that a failed sync should have saved.
 */
export async function runEio({ seed, rounds, report = () => {} }: EioOptions): Promise<EioResult> {
  const folder = await mkdtemp(join(tmpdir(), 'eio-'));
  const disk = await RecordedDisk.create(folder);
  const server = await ServerProcess.start({ ...OPTIONS, DATA_DIR: disk.data }, { command: disk.command });
  const run = new EioRun(server, disk, seed);
  try {
    await run.prepare();
    for (let round = 1; round <= rounds && run.problems.length === 0; round++) {
      report(`round ${round} of ${rounds}: ${await run.round(round)}`);
    }
  } catch (error) {
    run.problems.push(`the run broke off: ${error instanceof Error ? error.stack : error}`);
  } finally {
    run.close();
    await server.dispose();
  }
  run.noteFaults();
  if (run.problems.length === 0) await rm(folder, { recursive: true });
  else report(`the folder is kept: ${folder}`);
  return run.result();
}

class EioRun {
  readonly problems: string[] = [];
  readonly #server: ServerProcess;
  readonly #disk: RecordedDisk;
  readonly #chance: Chance;
  readonly #households: readonly Household[];
  #rounds = 0;
  #kills = 0;
  #recoveries = 0;

  constructor(server: ServerProcess, disk: RecordedDisk, seed: number) {
    this.#server = server;
    this.#disk = disk;
    this.#chance = new Chance(seed);
    this.#households = USERS.map((user) => new Household(server.url, user, this.#newChance, () => {}));
  }

  async prepare(): Promise<void> {
    await this.#each((household) => household.prepare());
  }

  async round(round: number): Promise<string> {
    for (const household of this.#households) household.round = round;
    await this.#settle();
    const cut = this.#chance.happens(0.4);
    const said = await this.#failSyncs(cut);
    if (cut) await this.#each((household) => household.disconnected());
    else for (const writer of this.#households.flatMap(({ writers }) => writers)) await writer.disconnect();
    this.#expectTold();
    if (!cut) await this.#goOn();
    const left = await this.#disk.cutPower(this.#newChance());
    await this.#server.restart();
    await this.#check('after the power cut');
    this.#rounds = round;
    return `${said}, ${cut ? 'power cut while they failed' : 'recovered'}, ${left}`;
  }

  noteFaults(): void {
    const isFault = (line: string) => /"(unexpected|documentQuarantined|messageRefused)"/.test(line);
    const isTold = (line: string) => /"code":"(NOT_SAVED|STORE_UNAVAILABLE)"/.test(line);
    this.problems.push(...this.#server.lines.filter((line) => isFault(line) && !isTold(line)));
  }

  result(): EioResult {
    const count = (event: string) => this.#server.lines.filter((line) => line.includes(`"${event}"`)).length;
    return {
      rounds: this.#rounds,
      kills: this.#kills,
      compactions: count('compacted'),
      confirmations: this.#households.reduce((sum, { ledger }) => sum + ledger.confirmations, 0),
      failures: count('storeFailed'),
      recoveries: this.#recoveries,
      problems: this.problems,
    };
  }

  close(): void {
    for (const household of this.#households) household.close();
  }

  readonly #newChance = (): Chance => new Chance(this.#chance.below(2 ** 32));

  async #each<T>(action: (household: Household) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#households.map(action));
  }

  /** strace counts the calls of each thread by itself: which sync of all fails first is left to the seed and luck. */
  #inject(): { injector: Injector; said: string; forGood: boolean } {
    const first = 1 + this.#chance.below(4);
    const step = 1 + this.#chance.below(4);
    const calls = this.#chance.happens(0.3) ? 'fdatasync,fsync' : 'fdatasync';
    const { pid } = this.#server;
    if (pid === undefined) throw new Error('the server does not run');
    const said = `${calls} failed from call ${first} on${step === 1 ? '' : `, each ${step}.`}`;
    return {
      injector: new Injector(pid, calls, `error=EIO:when=${first}+${step}`),
      said,
      forGood: step === 1,
    };
  }

  /** Under load, until the store has failed; then the power goes, or the disk works again. */
  async #failSyncs(cut: boolean): Promise<string> {
    const from = this.#server.lines.length;
    const stop = startLoad(this.#households, this.#newChance);
    try {
      await pause(this.#chance.between(20, 300));
      const { injector, said, forGood } = this.#inject();
      await this.#server.line(/"event":"storeFailed"/, from, LONGEST_WAIT);
      if (forGood) await ready(this.#server.url, 503);
      await pause(this.#chance.between(0, 400));
      if (cut) await this.#kill();
      await injector.detach();
      if (!cut) {
        await ready(this.#server.url, 200);
        this.#recoveries++;
      }
      return said;
    } finally {
      await stop();
    }
  }

  /** Nothing is lost, and the same process takes writes as before. */
  async #goOn(): Promise<void> {
    await this.#check('after the recovery');
    if (this.#chance.happens(0.5)) await this.#settle();
    await this.#kill();
    await this.#each((household) => household.disconnected());
  }

  async #kill(): Promise<void> {
    this.#kills++;
    await this.#server.kill();
  }

  /** Who had written what could not be saved was told so, and nothing else went wrong. */
  #expectTold(): void {
    const natives = this.#households.flatMap((household) => household.natives);
    const closes = natives.flatMap(({ device }) => device.closes.splice(0));
    const errors = this.#households.flatMap(({ json }) => json.errors.splice(0));
    const statuses = this.#households.flatMap(({ batch, exchange }) => [
      ...batch.refusals.splice(0),
      ...exchange.refusals.splice(0),
    ]);
    const told = [...closes.filter((code) => code === TOLD), ...errors, ...statuses];
    if (told.length === 0) this.problems.push('syncs failed, and nobody was told');
    // 1006: the end of the process.
    const wrong = [
      ...closes.filter((code) => code !== TOLD && code !== 1006),
      ...errors.filter((code) => code !== 'NOT_SAVED'),
      ...statuses.filter((status) => status !== 503),
    ];
    if (wrong.length > 0) this.problems.push(`devices were told ${wrong}`);
  }

  async #settle(): Promise<void> {
    const found = await this.#each((household) => household.settle());
    this.problems.push(...found.flat());
    await this.#check('before');
  }

  async #check(when: string): Promise<void> {
    const found = await this.#each((household) => household.problems());
    this.problems.push(...found.flat().map((problem) => `${when}, ${problem}`));
  }
}
