/** The users of one server: each edits on its first device, and all its other devices receive it. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Edits } from './edits.js';

/** One connection, whatever it speaks. */
export interface Device<Frame> {
  /** Called for each update of another device. */
  onUpdate: () => void;
  /** Resolves when it may send. */
  open(): Promise<void>;
  send(frame: Frame): void;
  close(): void;
}

export const closedBy = (code: number, reason: Buffer): Error =>
  new Error(`The server closed a connection: ${code} ${reason.toString()}`.trim());

export interface CrowdOptions<Frame> {
  readonly users: number;
  readonly devicesPerUser: number;
  readonly device: (user: string, index: number) => Device<Frame>;
  readonly edits: Edits<Frame>;
}

export interface Stretch {
  readonly edits: number;
  /** From an edit to its arrival at each other device, in ms. */
  readonly latencies: readonly number[];
  /** How long the last arrivals took after the last edit, in ms. */
  readonly drain: number;
}

/** Connections that are opened at the same time. */
const AT_ONCE = 50;
const ARRIVAL_TIMEOUT = 60_000;

export class Crowd<Frame> {
  readonly #users: User<Frame>[];
  readonly #edits: Edits<Frame>;

  private constructor(users: User<Frame>[], edits: Edits<Frame>) {
    this.#users = users;
    this.#edits = edits;
  }

  /** Connects everybody and gives each user the records. */
  static async gather<Frame>(options: CrowdOptions<Frame>): Promise<Crowd<Frame>> {
    const users = Array.from({ length: options.users }, (_, index) => new User(`user-${index}`, options));
    for (let at = 0; at < users.length; at += AT_ONCE) {
      await Promise.all(users.slice(at, at + AT_ONCE).map((user) => user.open()));
    }
    const crowd = new Crowd(users, options.edits);
    for (const user of users) for (const frame of options.edits.seed) user.send(frame);
    await crowd.#allArrived();
    return crowd;
  }

  /** Edits at a fixed rate, whether the server keeps up or not, until all has arrived. */
  async edit(perSecond: number, seconds: number): Promise<Stretch> {
    for (const user of this.#users) user.forget();
    const total = Math.round(perSecond * seconds);
    const began = performance.now();
    for (let made = 0; made < total; await sleep(1)) {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * perSecond) + 1);
      for (; made < due; made += 1) this.#users[made % this.#users.length]?.editNext(this.#edits);
    }
    const last = performance.now();
    await this.#allArrived();
    const drain = performance.now() - last;
    return { edits: total, latencies: this.#users.flatMap(({ latencies }) => latencies), drain };
  }

  /** Each user makes so many edits, the next one as soon as all its devices have the last: as fast as it goes. */
  async editInTurn(editsPerUser: number): Promise<Stretch> {
    for (const user of this.#users) user.forget();
    await Promise.all(this.#users.map((user) => user.editInTurn(this.#edits, editsPerUser)));
    const latencies = this.#users.flatMap(({ latencies }) => latencies);
    return { edits: editsPerUser * this.#users.length, latencies, drain: 0 };
  }

  /** How many edits of each user another device of that user has seen. */
  seen(): Map<string, number> {
    return new Map(this.#users.map(({ name, seen }) => [name, seen]));
  }

  leave(): void {
    for (const user of this.#users) user.close();
  }

  async #allArrived(): Promise<void> {
    const deadline = performance.now() + ARRIVAL_TIMEOUT;
    while (this.#users.some((user) => user.awaited > 0)) {
      if (performance.now() > deadline) {
        const lost = this.#users.reduce((sum, { awaited }) => sum + awaited, 0);
        throw new Error(`${lost} updates did not arrive in ${ARRIVAL_TIMEOUT / 1000} s.`);
      }
      await sleep(1);
    }
  }
}

class User<Frame> {
  /** Arrivals still to come, at all other devices together. */
  awaited = 0;
  /** Edits that have arrived at another device, those that bring the records left out. */
  seen = 0;
  latencies: number[] = [];
  readonly name: string;
  readonly #devices: Device<Frame>[];
  readonly #sentAt: number[] = [];
  #edits = 0;
  #allThere: () => void = () => {};

  constructor(name: string, { devicesPerUser, device }: CrowdOptions<Frame>) {
    this.name = name;
    this.#devices = Array.from({ length: devicesPerUser }, (_, index) => device(name, index));
    for (const device of this.#devices.slice(1)) this.#watch(device);
  }

  async open(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.open()));
  }

  send(frame: Frame): void {
    this.awaited += this.#devices.length - 1;
    this.#sentAt.push(performance.now());
    this.#devices[0]?.send(frame);
  }

  editNext({ frames }: Edits<Frame>): void {
    const frame = frames[this.#edits];
    if (frame === undefined) throw new Error('There are too few prepared edits.');
    this.#edits += 1;
    this.send(frame);
  }

  async editInTurn(edits: Edits<Frame>, count: number): Promise<void> {
    for (let made = 0; made < count; made++) {
      const allThere = new Promise<void>((resolve) => {
        this.#allThere = resolve;
      });
      this.editNext(edits);
      await allThere;
    }
  }

  forget(): void {
    this.latencies = [];
  }

  close(): void {
    for (const device of this.#devices) device.close();
  }

  /** Updates arrive in the order in which they were made. */
  #watch(device: Device<Frame>): void {
    let next = 0;
    device.onUpdate = () => {
      this.awaited -= 1;
      this.latencies.push(performance.now() - (this.#sentAt[next] ?? Number.NaN));
      next += 1;
      this.seen = Math.max(this.seen, next - (this.#sentAt.length - this.#edits));
      if (this.awaited === 0) this.#allThere();
    };
  }
}
