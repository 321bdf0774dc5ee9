/** A real store on PostgreSQL, for models: held, killed and started anew by hand, and held against what it should have. */
import { isDeepStrictEqual } from 'node:util';
import { onTestFinished } from 'vitest';
import {
  type Change,
  committing,
  compacting,
  EMPTY,
  erasing,
  noticing,
  pruning,
  resting,
  savingDevices,
  visited,
} from '../../server/store/memory/memory-document.js';
import { copyOf, type MemoryContents } from '../../server/store/memory/memory-store.js';
import type { PostgresStore } from '../../server/store/postgres/postgres-store.js';
import type { StoredDocument } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';
import type { ModelStore } from './either-store.js';
import { PostgresFixture } from './postgres.js';

type Arguments<Name extends keyof PostgresStore> = PostgresStore[Name] extends (
  ...args: infer Given
) => unknown
  ? Given
  : never;

/** What each change leads to, by the contract of the store. */
const CHANGES: { readonly [name: string]: (...args: never[]) => Change } = {
  commit: (...[, commit]: Arguments<'commit'>) => committing(commit),
  compact: (...[, snapshot]: Arguments<'compact'>) => compacting(snapshot),
  prune: (...[, upTo, deletions]: Arguments<'prune'>) => pruning(upTo, deletions),
  putToRest: (...[, row, view]: Arguments<'putToRest'>) => resting(row, view),
  saveDevices: (...[, devices]: Arguments<'saveDevices'>) => savingDevices(devices),
  notePlainVisit: (...[, at]: Arguments<'notePlainVisit'>) => visited(at),
  noteSeen: (...[, seen]: Arguments<'noteSeen'>) => noticing(seen),
  erase: (...[, tombstone]: Arguments<'erase'>) => erasing(tombstone),
};

let last: PostgresModel | null = null;

export async function openPostgresModel(): Promise<ModelStore> {
  await last?.end();
  const fixture = await PostgresFixture.create();
  const model = await PostgresModel.open(fixture, new Map());
  last = model;
  onTestFinished(() => model.end());
  return model.store;
}

class PostgresModel {
  readonly store: ModelStore;
  readonly #fixture: PostgresFixture;
  readonly #contents: MemoryContents;
  #inner!: PostgresStore;
  #next: PostgresModel | null = null;
  #held: PromiseWithResolvers | null = null;
  #isKilled = false;
  /** Calls that will end by themselves, and those that wait for `release`. */
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #stuck = new Set<Promise<unknown>>();
  #end: Promise<void> | null = null;

  private constructor(fixture: PostgresFixture, contents: MemoryContents) {
    this.#fixture = fixture;
    this.#contents = contents;
    this.store = new Proxy({} as ModelStore, { get: (_, name) => this.#get(name) });
  }

  static async open(fixture: PostgresFixture, contents: MemoryContents): Promise<PostgresModel> {
    const model = new PostgresModel(fixture, contents);
    model.#inner = await fixture.open({ beforeWrite: () => model.#mayWrite() });
    return model;
  }

  /** With all that were started after it. */
  end(): Promise<void> {
    this.#end ??= this.#close();
    return this.#end;
  }

  async #close(): Promise<void> {
    if (this.#next === null) {
      await this.#kill();
      await this.#fixture.remove();
    } else await this.#next.end();
  }

  async #mayWrite(): Promise<void> {
    while (this.#held !== null) await this.#held.promise;
    if (this.#isKilled) throw new Error('the process was killed');
  }

  #get(name: string | symbol): unknown {
    const own: Partial<ModelStore> = {
      contents: this.#contents,
      hold: () => {
        this.#held ??= promiseWithResolvers();
      },
      release: () => this.#release(),
      quiet: () => this.#quiet(),
      restarted: () => this.#restarted(),
    };
    if (Object.hasOwn(own, name)) return Reflect.get(own, name);
    const value: unknown = Reflect.get(this.#inner, name, this.#inner);
    if (typeof value !== 'function') return value;
    return (...args: unknown[]) => this.#call(String(name), args, () => value.apply(this.#inner, args));
  }

  #call(name: string, args: unknown[], call: () => unknown): unknown {
    const change = (CHANGES[name] as ((...args: unknown[]) => Change) | undefined)?.(...args);
    const answer = call();
    if (!(answer instanceof Promise)) return answer;
    const user = args[0] as UserId;
    // Before whoever called hears of it.
    if (change !== undefined)
      answer.then(
        () => this.#contents.set(user, change(this.#contents.get(user) ?? EMPTY)),
        () => {},
      );
    this.#follow(answer, change !== undefined || name === 'confirm');
    if (name !== 'load') return answer;
    return answer.then((found: StoredDocument) => {
      this.#check(user, found);
      return found;
    });
  }

  /** Behind a write that is held everything of the user waits. */
  #follow(answer: Promise<unknown>, isWrite: boolean): void {
    const isStuck = this.#held !== null && (isWrite || this.#stuck.size > 0);
    (isStuck ? this.#stuck : this.#underWay).add(answer);
    const ended = () => {
      this.#stuck.delete(answer);
      this.#underWay.delete(answer);
    };
    answer.then(ended, ended);
  }

  #check(user: UserId, { updates, revision, memory, historyFrom }: StoredDocument): void {
    const expected = this.#contents.get(user) ?? EMPTY;
    const found = [bytes(updates), revision, memory && bytes([memory]), historyFrom];
    const wanted = [
      bytes(expected.updates),
      expected.revision,
      expected.memory && bytes([expected.memory]),
      expected.historyFrom,
    ];
    if (!isDeepStrictEqual(found, wanted))
      throw new Error(
        `PostgreSQL has ${found.join(' | ')} of ${user}, and should have ${wanted.join(' | ')}`,
      );
  }

  async #quiet(): Promise<void> {
    do {
      await Promise.allSettled(this.#underWay);
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#underWay.size > 0);
  }

  #release(): void {
    for (const answer of this.#stuck) this.#underWay.add(answer);
    this.#stuck.clear();
    const held = this.#held;
    this.#held = null;
    held?.resolve();
  }

  async #kill(): Promise<void> {
    this.#isKilled = true;
    this.#release();
    await this.#inner.close();
  }

  async #restarted(): Promise<ModelStore> {
    await this.#kill();
    this.#next = await PostgresModel.open(this.#fixture, copyOf(this.#contents));
    return this.#next.store;
  }
}

const bytes = (all: readonly Uint8Array[]): string =>
  all.map((each) => Buffer.from(each).toString('hex')).join(',');

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function promiseWithResolvers(): PromiseWithResolvers {
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
