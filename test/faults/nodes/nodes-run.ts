/** Rounds of load and faults at one cluster, and what has to hold after each. */
import { setTimeout as pause } from 'node:timers/promises';
import { LATENESS, PATIENCE } from '../../support/wait.js';
import { Chance } from '../chance.js';
import type { ClusterNode, FaultCluster } from './cluster.js';
import { countWaits, type Waits } from './cores.js';
import { allReady, FAULTS, type FaultKind, type Scene, type Times } from './faults.js';
import { Patient } from './patient.js';

const USERS = 50;
/** Rounds after which other users go on, so that documents stay small. */
const TERM = 8;
/** All devices are equal so soon after everything is mended, and all nodes say so, in ms. */
export const HEALED = 5_000;
/** So long nobody waits for it; longer where the machine is said to be busy. */
const LONGEST = Math.max(70_000, 5 * PATIENCE);
/** From one look whether they are to the next, in ms. */
const LOOK = 50;
/** Refusals of what could not be saved are what faults lead to. */
const PASSING = /"messageRefused".*"code":"(NOT_SAVED|STORE_UNAVAILABLE|RESTARTING)"/;
/** A machine that is too small for this: devices are put off by rule, whatever is mended. */
const OVERLOADED = /"event":"overloaded"/;
const FAULT_LINE = /"(unexpected|documentRebuilt|documentQuarantined|historyDamaged|messageRefused)"/;

/** How long it took in one round, in ms. */
export interface Healing {
  /** From the end of the faults until all nodes said that they were ready. */
  readonly ready: number;
  /** From then until all devices were equal. */
  readonly equal: number;
  readonly waits: Waits;
  /** How often a node came to be overloaded, from the first fault on. */
  readonly overloads: number;
}

export interface NodesResult {
  readonly rounds: number;
  readonly confirmations: number;
  readonly reads: number;
  /** Of each round. */
  readonly healed: readonly Healing[];
  readonly problems: readonly string[];
}

export class NodesRun {
  /** What was lost, or is wrong. */
  readonly problems: string[] = [];
  /** Devices that were equal too late. */
  readonly #delays: string[] = [];
  readonly #cluster: FaultCluster;
  readonly #chance: Chance;
  readonly #times: Times;
  /** Those that there are, and those that are left of them before any comes again. */
  readonly #all: readonly FaultKind[];
  #kinds: FaultKind[] = [];
  readonly #healed: Healing[] = [];
  #patients: readonly Patient[] = [];
  #before = { confirmations: 0, reads: 0 };
  #rounds = 0;
  /** Who was not equal in time, in words. */
  #late = '';

  constructor(cluster: FaultCluster, seed: number, times: Times, kinds: readonly FaultKind[]) {
    this.#cluster = cluster;
    this.#chance = new Chance(seed);
    this.#times = times;
    this.#all = kinds;
  }

  /** A load, faults at random moments of it, and the end of both. */
  async round(round: number): Promise<string> {
    if ((round - 1) % TERM === 0) await this.#beginTerm(round);
    for (const patient of this.#patients) patient.round = round;
    const before = this.#sum(({ ledger }) => ledger.confirmations);
    const stops = this.#patients.map((patient) => patient.load(this.#newChance));
    await pause(this.#chance.between(500, 2_000));
    const overloads = this.#overloads;
    const done = await this.#faults();
    const mended = performance.now();
    await pause(this.#chance.between(0, 1_000));
    const stopped = Promise.all(stops.map((stop) => stop()));
    await allReady(this.#cluster);
    const ready = Math.round(performance.now() - mended);
    const waits = countWaits(this.#cluster.nodes.map(({ server }) => server.pid));
    const equal = await this.#untilEqual();
    const how = this.#noteHealed({ ready, equal, waits: waits(), overloads: this.#overloads - overloads });
    await stopped;
    // What was asked last may have changed something.
    await this.#untilEqual();
    await this.#check();
    this.#rounds = round;
    const confirmed = this.#sum(({ ledger }) => ledger.confirmations) - before;
    return `${done.join('; ')}; ${confirmed} changes confirmed, ${how}`;
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
      problems: [...this.problems, ...this.#delays],
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
      (_, n) => new Patient(this.#cluster, `user-${round}-${n}`, this.#newChance),
    );
    for (const patient of this.#patients) await patient.begin();
    await this.#untilEqual();
  }

  /** Each kind comes before any comes again; now and then two at once. */
  async #faults(): Promise<string[]> {
    const kinds = new Set([this.#next(), ...(this.#chance.happens(0.25) ? [this.#next()] : [])]);
    const scene: Scene = {
      ...{ cluster: this.#cluster, chance: this.#newChance(), times: this.#times },
      taken: new Set(),
      woken: (node, users) => this.#woken(node, users),
    };
    // Of two, the second begins while the first lasts.
    let begins = 0;
    const done = [...kinds].map(async (kind) => {
      const chance = this.#newChance();
      const since = begins;
      begins += this.#chance.between(0, 500);
      await pause(since);
      return FAULTS[kind]({ ...scene, chance });
    });
    return Promise.all(done);
  }

  #next(): FaultKind {
    if (this.#kinds.length === 0) {
      this.#kinds = this.#all
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
  async #untilEqual(): Promise<number> {
    const since = performance.now();
    let late = this.#patients;
    this.#late = '';
    for (;;) {
      const last = await Promise.all(late.map((patient) => patient.hindrance()));
      late = late.filter((_, n) => last[n] !== null);
      const ms = performance.now() - since;
      if (late.length === 0) return Math.round(ms);
      const hindrances = last.filter((each) => each !== null);
      if (ms > HEALED && this.#late === '') this.#late = ` (after 5 s ${told(late, hindrances, since)})`;
      if (ms > LONGEST) {
        const revisions = await this.#cluster.revisions(late[0]?.user ?? '');
        const overloads = `nodes were overloaded ${this.#overloads} times in all`;
        throw new Error(
          `after ${Math.round(ms)} ms ${told(late, hindrances, since)}; ${overloads}; of the first: ${revisions}`,
        );
      }
      await pause(LOOK);
    }
  }

  async #check(): Promise<void> {
    const found = await Promise.all(this.#patients.map((patient) => patient.verdict()));
    this.problems.push(...found.flat(), ...(await this.#cluster.gaps()));
  }

  get #overloads(): number {
    const lines = this.#cluster.nodes.flatMap(({ server }) => server.lines);
    return lines.filter((line) => OVERLOADED.test(line)).length;
  }

  /**
   * What a process waited for a core is taken out, of the one that waited longest, since they wait beside each other:
   * on a machine with nothing else to do it is next to nothing.
   * Nodes that were overloaded put devices off by rule; with them nothing is judged.
   */
  #noteHealed(healing: Healing): string {
    this.#healed.push(healing);
    const { ready, equal, waits, overloads } = healing;
    const how = `all nodes ready after ${ready} ms, all devices equal ${equal} ms later, ${judged(healing)} ms without waits for a core (the devices ${waits.own} ms, a node ${waits.node} ms)`;
    const isLate = judged(healing) > HEALED + LATENESS;
    if (isLate && overloads === 0) this.#delays.push(`${how}: more than ${HEALED} ms`);
    const pardon = overloads > 0 ? `; nodes were overloaded ${overloads} times, so that is not judged` : '';
    return `${how}${pardon}${this.#late}`;
  }
}

/** What of the time until all devices were equal counts, in ms. */
export const judged = ({ equal, waits }: Healing): number =>
  Math.max(0, equal - Math.max(waits.own, waits.node));

/** How many, and the first of them, with what became of the connections of their clients. */
function told(late: readonly Patient[], hindrances: readonly string[], since: number): string {
  const first = hindrances.slice(0, 3).map((each, n) => `${each} (${late[n]?.client.courseSince(since)})`);
  return `${hindrances.length} users were not equal: ${first.join('; ')}`;
}
