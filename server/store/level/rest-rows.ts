/** Rest rows as a store tells them: from what is at hand, or else read, those of many users at once. */
import type { UserId } from '../../../shared/names.js';
import type { Vaults } from '../encryption/vault.js';
import type { GroupReader } from '../group-reader.js';
import type { RestRow } from '../store.js';
import { type FoundRest, openRest, type ReadRest } from './rest.js';
import { type Mark, RestMemory } from './rest-memory.js';

export interface RestParts {
  readonly takesWork: () => boolean;
  /** Resolves when everything of this user that was handed over is written. */
  readonly settled: (user: UserId) => Promise<void>;
  readonly read: GroupReader<UserId, ReadRest | null>;
  /** Users of whom something is noted, at most so many behind this one. */
  readonly list: (after: UserId | null, limit: number) => Promise<readonly UserId[]>;
  readonly vaults: Vaults;
}

/** Read ahead in one go: who asks meanwhile waits no longer than for that. */
const AHEAD_AT_ONCE = 256;

export class RestRows {
  readonly #parts: RestParts;
  readonly #memory: RestMemory;

  /** @param budget of what is kept at hand, in bytes */
  constructor(budget: number, parts: RestParts) {
    this.#memory = new RestMemory(budget);
    this.#parts = parts;
  }

  atHand(user: UserId): FoundRest | null {
    const { takesWork, vaults } = this.#parts;
    const sealed = takesWork() ? this.#memory.get(user) : undefined;
    return sealed === undefined ? null : openRest(user, sealed, vaults);
  }

  /**
   * Reads once for good where it is known that the document is as it was noted, before and after; where it was changed
   * meanwhile, or that is not known, `read` is told so.
   */
  async asNoted<T>(user: UserId, read: (isNoted: boolean) => Promise<T>): Promise<T> {
    const mark = this.#markOf(user);
    const found = await read(mark !== undefined);
    return mark === undefined || this.#markOf(user) === mark ? found : await read(false);
  }

  #markOf(user: UserId): Mark | undefined {
    return this.#parts.takesWork() ? this.#memory.markOf(user) : undefined;
  }

  /** It is at hand from then on, unless something is changed meanwhile. */
  async read(user: UserId): Promise<RestRow | null> {
    const mark = this.#memory.expect(user);
    let found: ReadRest | null = null;
    try {
      await this.#parts.settled(user);
      found = await this.#parts.read.read(user);
    } finally {
      this.#memory.keep(user, mark, found?.sealed ?? null);
    }
    return found?.rest ?? null;
  }

  /** Reads those of everybody, as far as there is room. */
  async readAhead(): Promise<void> {
    let after: UserId | null = null;
    do {
      const users = await this.#parts.list(after, AHEAD_AT_ONCE);
      await Promise.all(users.map((user) => this.atHand(user) ?? this.read(user)));
      after = users.at(-1) ?? null;
    } while (after !== null && this.#memory.hasRoom);
  }

  /** Of what is damaged nothing is at hand: the next one who asks is told what is read. */
  async noticing<T>(user: UserId, reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (error) {
      this.#memory.drop(user);
      throw error;
    }
  }

  /** Something of this user is changed. */
  drop(user: UserId): void {
    this.#memory.drop(user);
  }

  clear(): void {
    this.#memory.clear();
  }
}
