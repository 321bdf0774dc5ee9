/**
 * Moves all that one store holds into another, as it is stored (063): it goes through all users, again and again, until
 * nothing differs. What a run that was cut off has left is compared like everything else: nothing is taken on trust.
 */
import { createHash, type Hash } from 'node:crypto';
import { SyncError } from '../../errors.js';
import type { CopiedRow } from '../store.js';

/** What is stored of one user; `null` for what belongs to no user. */
export type Part = string | null;
/** Some at a time, with the keys of `format.ts`, in the same order in every store. */
export type Rows = AsyncIterable<readonly CopiedRow[]>;

/** Tokens that were taken back, a line each: a set that only grows, and may be beside the store (A4). */
export interface Revoked {
  /** For people. */
  readonly name: string;
  lines(): Promise<readonly string[]>;
  add(lines: readonly string[]): Promise<void>;
}

/** A store that nobody else changes meanwhile. */
export interface Source {
  /** For people, without a password. */
  readonly name: string;
  readonly revoked: Revoked;
  count(): Promise<number>;
  /** In the order of their bytes. */
  users(): AsyncIterable<string>;
  rows(part: Part): Rows;
  /** Where all of it was moved; `null` where it was not. */
  leftFor(): Promise<string | null>;
  /** All of it is in the target: no server that was there before goes on with it. */
  leave(target: string): Promise<void>;
  close(): Promise<void>;
}

/** What a target is before a move. */
export type Begun = 'empty' | 'used' | { readonly from: string };

export interface Target extends Source {
  begun(): Promise<Begun>;
  /** From here on no server takes it. */
  begin(from: string): Promise<void>;
  /** The part becomes these rows. */
  replace(part: Part, rows: Rows): Promise<void>;
  /** Resolves when what was handed over can be read. */
  flush(): Promise<void>;
  /** Resolves when all of it is durable, and servers may have it. */
  complete(): Promise<void>;
}

export interface Moved {
  readonly users: number;
  /** How many of them this run has copied. */
  readonly copied: number;
  /** Tokens that were taken back: all that the source has are in the target. */
  readonly revoked: number;
  /** The same for stores that hold the same. */
  readonly hash: string;
}

export type MoveProgress = (doing: 'copied' | 'compared', done: number, total: number) => void;

/** The last one finds nothing. Where a third one finds something, what was written is not what is read. */
const PASSES = 3;

export async function move(source: Source, target: Target, onProgress: MoveProgress): Promise<Moved> {
  await mustNotBeElsewhere(source, target);
  const begun = await target.begun();
  if (begun === 'used') return await mustBeTheSame(source, target, onProgress);
  if (begun === 'empty') await target.begin(source.name);
  else if (begun.from !== source.name)
    throw refused(
      `A move from ${begun.from} into ${target.name} was begun: complete that one, or name an empty target.`,
    );
  let copied = 0;
  for (let pass = 1; pass <= PASSES; pass++) {
    const doing = pass === 1 ? 'copied' : 'compared';
    const found = await copyWhatDiffers(source, target, (done, total) => onProgress(doing, done, total));
    if (pass > 1 && found.copied === 0) {
      const revoked = await handOver(source, target);
      return { ...found, copied, revoked };
    }
    copied = Math.max(copied, found.copied);
  }
  throw refused(
    `What is read from ${target.name} is not what was written: look for a failing disk, and for others who write there. ${source.name} is as it was.`,
  );
}

/** A run that was cut off at its very end has the same target. */
async function mustNotBeElsewhere(source: Source, target: Target): Promise<void> {
  const other = await source.leftFor();
  if (other === null || other === target.name) return;
  throw refused(
    `What is in ${source.name} was moved to ${other}, and may be out of date, with people in it who were erased since: move that one.`,
  );
}

/** A move that was cut off when all was done has nothing left to say so. */
async function mustBeTheSame(source: Source, target: Target, onProgress: MoveProgress): Promise<Moved> {
  const compared = compare(source, target, (done, total) => onProgress('compared', done, total));
  const first = await compared.next();
  if (first.done === true) {
    const revoked = await handOver(source, target);
    return { ...first.value, copied: 0, revoked };
  }
  await compared.return({ users: 0, hash: '' });
  throw refused(
    `${target.name} holds something else already, and no move into it was begun: name an empty target.`,
  );
}

async function handOver(source: Source, target: Target): Promise<number> {
  const revoked = await takeRevoked(source, target);
  // The source first: cut off in between, both are closed to servers, and the same move goes on.
  await source.leave(target.name);
  await target.complete();
  return revoked;
}

async function takeRevoked({ revoked }: Source, target: Target): Promise<number> {
  const lines = await revoked.lines();
  const missing = async (): Promise<string[]> => {
    const there = new Set(await target.revoked.lines());
    return lines.filter((line) => !there.has(line));
  };
  await target.revoked.add(await missing());
  if ((await missing()).length > 0) throw refused(`Not all revoked tokens are in ${target.revoked.name}.`);
  return lines.length;
}

async function copyWhatDiffers(
  source: Source,
  target: Target,
  onProgress: (done: number, total: number) => void,
): Promise<Omit<Moved, 'revoked'>> {
  const compared = compare(source, target, onProgress);
  let copied = 0;
  for (;;) {
    const next = await compared.next();
    if (next.done === true) return { ...next.value, copied };
    await target.replace(next.value, source.rows(next.value));
    copied += 1;
  }
}

type Compared = Omit<Moved, 'copied' | 'revoked'>;

/** The parts that differ. */
async function* compare(
  source: Source,
  target: Target,
  onProgress: (done: number, total: number) => void,
): AsyncGenerator<Part, Compared> {
  const [total, all] = [await source.count(), createHash('sha256')];
  let users = 0;
  async function* differing(part: Part): AsyncGenerator<Part> {
    const digest = await digestOf(source.rows(part));
    if (!digest.equals(NOTHING)) all.update(digest);
    if (!digest.equals(NOTHING) && part !== null) users += 1;
    if (!digest.equals(await digestOf(target.rows(part)))) yield part;
  }
  for await (const user of source.users()) {
    yield* differing(user);
    onProgress(users, total);
  }
  await target.flush();
  for await (const user of target.users()) if (!(await isThere(source.rows(user)))) yield user;
  yield* differing(null);
  await target.flush();
  return { users, hash: all.digest('hex') };
}

/** The digest of no rows: a user may have been there, and nothing be left. */
const NOTHING = createHash('sha256').digest();

async function digestOf(rows: Rows): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const some of rows) {
    for (const [key, value] of some) {
      addTo(hash, key);
      addTo(hash, value);
    }
  }
  return hash.digest();
}

/** With its length before it, so that no two rows are the same bytes. */
function addTo(hash: Hash, bytes: Uint8Array): void {
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes.length);
  hash.update(length).update(bytes);
}

async function isThere(rows: Rows): Promise<boolean> {
  for await (const some of rows) if (some.length > 0) return true;
  return false;
}

const refused = (sentence: string): SyncError => new SyncError('STORE_UNAVAILABLE', sentence);
