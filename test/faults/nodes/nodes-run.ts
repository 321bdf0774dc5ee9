/** Rounds of load and faults at one cluster, and what has to hold after each. */
import { setTimeout as pause } from 'node:timers/promises';
import { LATENESS } from '../../support/wait.js';
import { Chance } from '../chance.js';
import type { ClusterNode, FaultCluster } from './cluster.js';
import { allReady, FAULTS, type FaultKind, type Scene, type Times } from './faults.js';
import { Patient } from './patient.js';

const USERS = 50;
/** Rounds after which other users go on, so that documents stay small. */
const TERM = 8;
/** All devices should be equal so soon after everything is mended, and have to be, in ms: a client that was put off again and again pauses for up to 30 s. */
const HEALED = 5_000;
const LONGEST = 35_000;
/** From one look whether they are to the next, in ms. */
const LOOK = 50;
/** Refusals of what could not be saved are what faults lead to. */
const PASSING = /"messageRefused".*"code":"(NOT_SAVED|STORE_UNAVAILABLE|RESTARTING)"/;
const FAULT_LINE = /"(unexpected|documentRebuilt|documentQuarantined|historyDamaged|messageRefused)"/;

export interface NodesResult {
  readonly rounds: number;
  readonly confirmations: number;
  readonly reads: number;
  /** How long it took in each round until all devices were equal, in ms. */
  readonly healed: readonly number[];
  readonly problems: readonly string[];
}

export class NodesRun {
  readonly problems: string[] = [];
  readonly #cluster: FaultCluster;
  readonly #chance: Chance;
  readonly #times: Times;
  readonly #healed: number[] = [];
  #patients: readonly Patient[] = [];
  #kinds: FaultKind[] = [];
  #before = { confirmations: 0, reads: 0 };
  #rounds = 0;
  /** Who was not equal in time, in words. */
  #late = '';

  constructor(cluster: FaultCluster, seed: number, times: Times) {
    this.#cluster = cluster;
    this.#chance = new Chance(seed);
    this.#times = times;
  }

  /** A load, faults at random moments of it, and the end of both. */
  async round(round: number): Promise<string> {
    if ((round - 1) % TERM === 0) await this.#beginTerm(round);
    for (const patient of this.#patients) patient.round = round;
    const before = this.#sum(({ ledger }) => ledger.confirmations);
    const stops = this.#patients.map((patient) => patient.load(this.#newChance));
    await pause(this.#chance.between(500, 2_000));
    const done = await this.#faults();
    await pause(this.#chance.between(0, 1_000));
    const stopped = Promise.all(stops.map((stop) => stop()));
    await allReady(this.#cluster);
    this.#late = '';
    const ms = await this.#untilEqual(performance.now());
    this.#noteHealed(ms);
    const late = this.#late;
    await stopped;
    // What was asked last may have changed something.
    await this.#untilEqual(performance.now());
    await this.#check();
    this.#rounds = round;
    const confirmed = this.#sum(({ ledger }) => ledger.confirmations) - before;
    return `${done.join('; ')}; ${confirmed} changes confirmed, all devices equal after ${ms} ms${late}`;
  }

  /** Faults of a node itself that it wrote down. */
  noteFaults(): void {
    for (const { name, server } of this.#cluster.nodes)
      for (const line of server.lines.filter((each) => FAULT_LINE.test(each) && !PASSING.test(each)))
        this.problems.push(`${name}: ${line}`);
  }

  result(): NodesResult {
    return {
      rounds: this.#rounds,
      confirmations: this.#before.confirmations + this.#sum(({ ledger }) => ledger.confirmations),
      reads: this.#before.reads + this.#sum(({ reads }) => reads),
      healed: this.#healed,
      problems: this.problems,
    };
  }

  async end(): Promise<void> {
    await Promise.all(this.#patients.map((patient) => patient.end()));
  }

  readonly #newChance = (): Chance => new Chance(this.#chance.below(2 ** 32));

  #sum(numberOf: (patient: Patient) => number): number {
    return this.#patients.reduce((sum, patient) => sum + numberOf(patient), 0);
  }

  async #beginTerm(round: number): Promise<void> {
    const { confirmations, reads } = this.result();
    this.#before = { confirmations, reads };
    await this.end();
    this.#patients = Array.from(
      { length: USERS },
      (_, n) => new Patient(this.#cluster.url, `user-${round}-${n}`, this.#newChance),
    );
    for (const patient of this.#patients) await patient.begin();
    await this.#untilEqual(performance.now());
  }

  /** Each kind comes before any comes again; now and then two at once. */
  async #faults(): Promise<string[]> {
    const kinds = [this.#next(), ...(this.#chance.happens(0.25) ? [this.#next()] : [])];
    const scene: Scene = {
      ...{ cluster: this.#cluster, chance: this.#newChance(), times: this.#times },
      woken: (node, users) => this.#woken(node, users),
    };
    // Of two, the second begins while the first lasts.
    const done: Promise<string>[] = [];
    for (const kind of kinds) {
      done.push(FAULTS[kind]({ ...scene, chance: this.#newChance() }));
      await pause(this.#chance.between(0, 500));
    }
    return Promise.all(done);
  }

  #next(): FaultKind {
    if (this.#kinds.length === 0) {
      this.#kinds = (Object.keys(FAULTS) as FaultKind[])
        .map((kind) => [this.#chance.between(0, 1), kind] as const)
        .sort(([one], [other]) => one - other)
        .map(([, kind]) => kind);
    }
    return this.#kinds.pop() as FaultKind;
  }

  /** Its memory is out of date: none of its answers may be. */
  async #woken({ url }: ClusterNode, users: readonly string[]): Promise<void> {
    const asked = this.#patients.filter(({ user }) => users.includes(user));
    await Promise.all(asked.map((patient) => patient.read(url)));
  }

  /** Returns how long it took, in ms. */
  async #untilEqual(since: number): Promise<number> {
    let late = this.#patients;
    let last: (string | null)[] = [];
    while (late.length > 0) {
      last = await Promise.all(late.map((patient) => patient.hindrance()));
      late = late.filter((_, n) => last[n] !== null);
      const ms = performance.now() - since;
      if (ms > HEALED && this.#late === '') this.#late = told(last.filter((each) => each !== null));
      if (ms > 2 * LONGEST) {
        const revisions = await this.#cluster.revisions(late[0]?.user ?? '');
        throw new Error(
          `not equal after ${Math.round(ms)} ms: ${last.filter(Boolean)}; of the first: ${revisions}`,
        );
      }
      if (late.length > 0) await pause(LOOK);
    }
    return Math.round(performance.now() - since);
  }

  async #check(): Promise<void> {
    const found = await Promise.all(this.#patients.map((patient) => patient.verdict()));
    this.problems.push(...found.flat(), ...(await this.#cluster.gaps()));
  }

  #noteHealed(ms: number): void {
    this.#healed.push(ms);
    if (ms > LONGEST + LATENESS) this.problems.push(`all devices were equal only after ${ms} ms`);
  }
}

/** How many, and the first of them. */
const told = (hindrances: readonly string[]): string =>
  ` (after 5 s ${hindrances.length} users were not: ${hindrances.slice(0, 3).join('; ')})`;
