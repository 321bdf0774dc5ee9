import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerProcess } from '../support/server-process.js';
import { PATIENCE } from '../support/wait.js';
import { Bulk } from './bulk.js';
import { Chance } from './chance.js';
import { Household } from './household.js';
import { startLoad } from './load.js';
import { RecordedDisk } from './recorded-disk.js';

export interface CrashOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Whether each kill takes the disk's power too: what was not synced is gone. */
  readonly power?: boolean;
  readonly report?: (line: string) => void;
}

export interface CrashResult {
  readonly rounds: number;
  readonly kills: number;
  readonly compactions: number;
  readonly confirmations: number;
  /** What was lost, or else wrong; the run ends with the first round that finds something. */
  readonly problems: readonly string[];
}

const USERS = ['anna', 'bert', 'carl'];
/** Many small documents' worth of compactions, and documents that are let go while their user still writes. */
const OPTIONS = {
  COMPACT_UPDATES: '25',
  IDLE_TIMEOUT: '200ms',
  REST_AFTER: '20ms',
  LOG_FORMAT: 'json',
  LOG_LEVEL: 'info',
};
const LONGEST_LOAD = 900;
/** Rounds after which other users go on, so that documents stay small and compactions many. */
const TERM = 20;

/** A kill falls into one of so many calls that make, sync, rename or remove a file: of a load, and of a start. */
const CALLS = 30;
const CALLS_OF_START = 20;

/**
 * Kills the server under load again and again; after each restart on the same folder everything must be there
 * that anybody but its author had seen, or that was confirmed to its author.
 */
export async function runCrashes(options: CrashOptions): Promise<CrashResult> {
  const { seed, rounds, power = false, report = () => {} } = options;
  const folder = await mkdtemp(join(tmpdir(), 'crash-'));
  const disk = power ? await RecordedDisk.create(folder) : null;
  const server = await ServerProcess.start(
    { ...OPTIONS, DATA_DIR: disk?.data ?? join(folder, 'data') },
    disk === null ? {} : { command: disk.command },
  );
  const run = new CrashRun(server, seed, disk);
  try {
    for (let round = 1; round <= rounds && run.problems.length === 0; round++) {
      report(`round ${round} of ${rounds}: ${await run.round(round)}`);
    }
    if (run.problems.length === 0) await run.finish();
    run.noteFaults();
    return run.result();
  } catch (error) {
    run.noteFaults();
    run.problems.push(`the run broke off: ${error instanceof Error ? error.stack : error}`);
    return run.result();
  } finally {
    run.close();
    await server.dispose();
    if (run.problems.length === 0) await rm(folder, { recursive: true });
    else report(`the folder is kept: ${folder}`);
  }
}

class CrashRun {
  readonly problems: string[] = [];
  readonly #server: ServerProcess;
  readonly #chance: Chance;
  readonly #disk: RecordedDisk | null;
  readonly #bulk: Bulk | null;
  #households: readonly Household[] = [];
  /** Of earlier terms: nobody writes to them any more, and at the end all is still there. */
  readonly #retired: Household[] = [];
  #rounds = 0;
  #kills = 0;
  #onConfirmed = (): void => {};

  constructor(server: ServerProcess, seed: number, disk: RecordedDisk | null) {
    this.#server = server;
    this.#chance = new Chance(seed);
    this.#disk = disk;
    this.#bulk = disk && new Bulk(server.url);
  }

  /** One load and its kill, sometimes followed by others while the server or the devices come back. */
  async round(round: number): Promise<string> {
    if ((round - 1) % TERM === 0) await this.#beginTerm(round);
    for (const household of this.#households) household.round = round;
    await this.#settle();
    const before = this.#confirmations;
    const stop = startLoad(this.#households, this.#newChance);
    const stopBulk = this.#chance.happens(0.4) ? this.#bulk?.start() : undefined;
    const when = await this.#momentToKill();
    const left = await this.#kill();
    await stop();
    await stopBulk?.();
    const confirmed = this.#confirmations - before;
    if (this.#chance.happens(this.#disk ? 0.4 : 0.15)) await this.#killWhileStarting();
    await this.#restart();
    if (this.#chance.happens(0.15)) await this.#killWhileReconnecting();
    this.#rounds = round;
    return `killed ${when}${left}, ${confirmed} changes confirmed by then`;
  }

  async finish(): Promise<void> {
    await this.#retire();
    const found = await Promise.all(this.#retired.map((household) => household.problems()));
    this.problems.push(...found.flat());
  }

  /** Faults of the server itself that it wrote down. */
  noteFaults(): void {
    const isFault = (line: string) =>
      /"(unexpected|documentRebuilt|documentQuarantined|messageRefused)"/.test(line);
    this.problems.push(...this.#server.lines.filter(isFault));
  }

  result(): CrashResult {
    const compactions = this.#server.lines.filter((line) => line.includes('"compacted"')).length;
    const { problems } = this;
    return {
      rounds: this.#rounds,
      kills: this.#kills,
      compactions,
      confirmations: this.#confirmations,
      problems,
    };
  }

  close(): void {
    for (const household of this.#households) household.close();
  }

  async #beginTerm(round: number): Promise<void> {
    await this.#retire();
    const onConfirmed = () => this.#onConfirmed();
    this.#households = USERS.map(
      (user) => new Household(this.#server.url, `${user}-${round}`, this.#newChance, onConfirmed),
    );
    await this.#each((household) => household.prepare());
  }

  async #retire(): Promise<void> {
    await this.#settle();
    this.close();
    this.#retired.push(...this.#households);
    this.#households = [];
  }

  /** Everybody is connected and has the same. */
  async #settle(): Promise<void> {
    const found = await this.#each((household) => household.settle());
    const refusals = this.#households.flatMap((household) => household.refusals());
    this.problems.push(...found.flat(), ...refusals);
    await this.#check();
  }

  readonly #newChance = (): Chance => new Chance(this.#chance.below(2 ** 32));

  get #confirmations(): number {
    const ledgers = [...this.#retired, ...this.#households].map(({ ledger }) => ledger.confirmations);
    return ledgers.reduce((sum, each) => sum + each, this.#bulk?.confirmed ?? 0);
  }

  async #each<T>(action: (household: Household) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#households.map(action));
  }

  /** After a random time, or right at a confirmation, when the next batch is about to be written. */
  async #momentToKill(): Promise<string> {
    if (this.#disk !== null && this.#chance.happens(0.6)) return this.#momentOfCall(this.#disk);
    const ms = Math.round(this.#chance.between(5, LONGEST_LOAD));
    if (this.#chance.happens(0.5)) {
      await pause(ms);
      return `after ${ms} ms`;
    }
    const count = 1 + this.#chance.below(LONGEST_LOAD);
    let left = count;
    const confirmed = new Promise<void>((resolve) => {
      this.#onConfirmed = () => {
        if (--left !== 0) return;
        if (this.#server.pid !== undefined) process.kill(this.#server.pid, 'SIGKILL');
        resolve();
      };
    });
    await Promise.race([confirmed, pause(2 * LONGEST_LOAD)]);
    this.#onConfirmed = () => {};
    return left <= 0 ? `at confirmation ${count}` : `after ${2 * LONGEST_LOAD} ms`;
  }

  /** Right before a file is made, synced, renamed or removed. */
  async #momentOfCall(disk: RecordedDisk): Promise<string> {
    const count = 1 + this.#chance.below(CALLS);
    await disk.killAt(count);
    await Promise.race([this.#server.ended(), pause(PATIENCE)]);
    return `before call ${count} on files`;
  }

  async #kill(): Promise<string> {
    const left = await this.#killServer();
    await this.#each((household) => household.disconnected());
    return left;
  }

  /** Says what that left on the disk. */
  async #killServer(): Promise<string> {
    this.#kills++;
    await this.#server.kill();
    if (this.#disk === null) return '';
    return `, ${await this.#disk.cutPower(this.#newChance())}`;
  }

  async #restart(): Promise<void> {
    await this.#server.restart();
    await this.#check();
  }

  async #check(): Promise<void> {
    this.problems.push(...(await this.#each((household) => household.problems())).flat());
    this.problems.push(...((await this.#bulk?.problems()) ?? []));
  }

  async #killWhileStarting(): Promise<void> {
    await this.#disk?.killAt(1 + this.#chance.below(CALLS_OF_START));
    const started = this.#server.restart().then(
      () => {},
      () => {}, // killed before it listened
    );
    // Under the recorder it may have ended already.
    if (this.#disk === null) await pause(this.#chance.between(50, 500));
    else await Promise.race([started, pause(1_000)]);
    await this.#killServer();
    await started;
  }

  /** While the devices tell what they did offline, and hear what they missed. */
  async #killWhileReconnecting(): Promise<void> {
    const connecting = this.#households.flatMap(({ writers }) => writers.map((writer) => writer.connect()));
    const done = Promise.allSettled(connecting);
    await pause(this.#chance.between(0, 60));
    await this.#kill();
    await this.#restart();
    await done;
  }
}
