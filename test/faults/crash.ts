import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerProcess } from '../support/server-process.js';
import { Chance } from './chance.js';
import { Household } from './household.js';
import { startLoad } from './load.js';

export interface CrashOptions {
  readonly seed: number;
  readonly rounds: number;
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
const OPTIONS = { COMPACT_UPDATES: '25', IDLE_TIMEOUT: '200ms', LOG_FORMAT: 'json', LOG_LEVEL: 'info' };
const LONGEST_LOAD = 900;
/** Rounds after which other users go on, so that documents stay small and compactions many. */
const TERM = 20;

/**
 * Kills the server under load again and again; after each restart on the same folder everything must be there
 * that anybody but its author had seen, or that was confirmed to its author.
 */
export async function runCrashes({ seed, rounds, report = () => {} }: CrashOptions): Promise<CrashResult> {
  const folder = await mkdtemp(join(tmpdir(), 'crash-'));
  const server = await ServerProcess.start({ ...OPTIONS, DATA_DIR: join(folder, 'data') });
  const run = new CrashRun(server, seed);
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
  #households: readonly Household[] = [];
  /** Of earlier terms: nobody writes to them any more, and at the end all is still there. */
  readonly #retired: Household[] = [];
  #rounds = 0;
  #kills = 0;
  #onConfirmed = (): void => {};

  constructor(server: ServerProcess, seed: number) {
    this.#server = server;
    this.#chance = new Chance(seed);
  }

  /** One load and its kill, sometimes followed by others while the server or the devices come back. */
  async round(round: number): Promise<string> {
    if ((round - 1) % TERM === 0) await this.#beginTerm(round);
    for (const household of this.#households) household.round = round;
    await this.#settle();
    const before = this.#confirmations;
    const stop = startLoad(this.#households, this.#newChance);
    const when = await this.#momentToKill();
    await this.#kill();
    await stop();
    const confirmed = this.#confirmations - before;
    if (this.#chance.happens(0.15)) await this.#killWhileStarting();
    await this.#restart();
    if (this.#chance.happens(0.15)) await this.#killWhileReconnecting();
    this.#rounds = round;
    return `killed ${when}, ${confirmed} changes confirmed by then`;
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
    return [...this.#retired, ...this.#households].reduce((sum, { ledger }) => sum + ledger.confirmations, 0);
  }

  async #each<T>(action: (household: Household) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#households.map(action));
  }

  /** After a random time, or right at a confirmation, when the next batch is about to be written. */
  async #momentToKill(): Promise<string> {
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

  async #kill(): Promise<void> {
    this.#kills++;
    await this.#server.kill();
    await this.#each((household) => household.disconnected());
  }

  async #restart(): Promise<void> {
    await this.#server.restart();
    await this.#check();
  }

  async #check(): Promise<void> {
    this.problems.push(...(await this.#each((household) => household.problems())).flat());
  }

  async #killWhileStarting(): Promise<void> {
    const started = this.#server.restart().then(
      () => {},
      () => {}, // killed before it listened
    );
    await pause(this.#chance.between(50, 500));
    this.#kills++;
    await this.#server.kill();
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
