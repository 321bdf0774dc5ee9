/**
 * Power cuts, kills and syncs that fail while documents are written anew (P10) and fall asleep: each is the old one or
 * the new one, whole, what is noted of it fits it, and nobody who has the old one is let into the new one.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { decodeExchange, encodeExchange } from '../../server/protocol/exchange.js';
import { longLived } from '../support/long-lived.js';
import { ServerProcess } from '../support/server-process.js';
import { PATIENCE } from '../support/wait.js';
import { Chance } from './chance.js';
import type { CrashOptions, CrashResult } from './crash.js';
import { Injector } from './injector.js';
import { ready } from './ready.js';
import { RecordedDisk } from './recorded-disk.js';

const OPTIONS = { HISTORY_DAYS: '0', REST_AFTER: '20ms', LOG_FORMAT: 'json', LOG_LEVEL: 'info' };
const USERS_PER_ROUND = 5;
/** A kill falls into one of so many calls that make, sync, rename or remove a file. */
const CALLS = 12;
/** Syncs fail from one of so many on, for each thread of the server. */
const SYNCS = 3;
/** In this time all users have come, in ms. */
const LONGEST = 400;
/** For a sync that fails, in ms: strace counts the calls of each thread by itself. */
const LONGEST_WAIT = 60_000;
const REWRITTEN = /"event":"rewritten"/;
/** Asks for everything. */
const NOTHING = Uint8Array.of(0);

/** What happens while documents are written anew: the power goes, the process ends, or its syncs fail (and then it ends). */
export type RewriteFault = 'power' | 'kill' | 'eio';

interface RewriteOptions extends CrashOptions {
  readonly fault: RewriteFault;
}

export async function runRewrites(options: RewriteOptions): Promise<CrashResult> {
  const { seed, rounds, fault, report = () => {} } = options;
  const folder = await mkdtemp(join(tmpdir(), 'rewrites-'));
  const disk = await RecordedDisk.create(folder);
  const server = await ServerProcess.start({ ...OPTIONS, DATA_DIR: disk.data }, { command: disk.command });
  const run = new RewriteRun(server, disk, new Chance(seed), fault);
  try {
    for (let round = 1; round <= rounds && run.problems.length === 0; round++)
      report(`round ${round} of ${rounds}: ${await run.round(round)}`);
  } catch (error) {
    run.problems.push(`the run broke off: ${error instanceof Error ? error.stack : error}`);
  } finally {
    await server.dispose();
    if (run.problems.length === 0) await rm(folder, { recursive: true });
    else report(`the folder is kept: ${folder}`);
  }
  const { problems, confirmations, kills } = run;
  return { rounds, kills, compactions: run.rewrites, confirmations, problems };
}

class RewriteRun {
  readonly problems: string[] = [];
  confirmations = 0;
  kills = 0;
  readonly #server: ServerProcess;
  readonly #disk: RecordedDisk;
  readonly #chance: Chance;
  /** Whose life was confirmed to be saved. */
  readonly #saved = new Set<string>();

  readonly #fault: RewriteFault;

  constructor(server: ServerProcess, disk: RecordedDisk, chance: Chance, fault: RewriteFault) {
    this.#fault = fault;
    this.#server = server;
    this.#disk = disk;
    this.#chance = chance;
  }

  get rewrites(): number {
    return this.#server.lines.filter((line) => REWRITTEN.test(line)).length;
  }

  async round(round: number): Promise<string> {
    const users = Array.from({ length: USERS_PER_ROUND }, (_, index) => `user-${round}-${index}`);
    const when = this.#fault === 'eio' ? await this.#failSyncs(users) : await this.#lives(users);
    this.kills++;
    if (this.#fault === 'kill') await this.#disk.killAt(0); // it may have ended before that call
    const left = this.#fault === 'kill' ? 'the power stays' : await this.#cutPower();
    await this.#server.restart();
    const states = await Promise.all(users.map((user) => this.#stateOf(user)));
    return `killed ${when}, ${left}: ${states}`;
  }

  /** All of them come one after the other, and are written anew as soon as they are quiet, until the kill. */
  async #lives(users: readonly string[]): Promise<string> {
    const call = 1 + this.#chance.below(CALLS);
    const ms = Math.round(this.#chance.between(20, LONGEST));
    const isCounted = this.#chance.happens(0.6);
    if (isCounted) await this.#disk.killAt(call);
    const lives = users.map(async (user) => {
      await pause(this.#chance.between(0, LONGEST));
      await this.#live(user);
    });
    await Promise.race([this.#server.ended(), pause(isCounted ? 4 * LONGEST : ms)]);
    await this.#server.kill();
    await Promise.all(lives);
    return isCounted ? `before call ${call} on files` : `after ${ms} ms`;
  }

  readonly #cutPower = (): Promise<string> => this.#disk.cutPower(new Chance(this.#chance.below(2 ** 32)));

  /** They fail until the store says so; once it works again by itself, all is there, and the power goes. */
  async #failSyncs(users: readonly string[]): Promise<string> {
    const { pid } = this.#server;
    if (pid === undefined) throw new Error('the server does not run');
    const from = this.#server.lines.length;
    const call = 1 + this.#chance.below(SYNCS);
    const injector = new Injector(pid, 'fdatasync,fsync', `error=EIO:when=${call}+`);
    const lives = users.map(async (user) => {
      await pause(this.#chance.between(0, LONGEST));
      await this.#live(user);
    });
    let isFailed = false;
    const failed = this.#server.line(/"event":"storeFailed"/, from, LONGEST_WAIT).then(() => {
      isFailed = true;
    });
    // Each thread counts its own calls, so others come until one has made enough.
    for (let more = 0; !isFailed; more++) await Promise.race([failed, this.#live(`${users[0]}-${more}`)]);
    await pause(this.#chance.between(0, LONGEST));
    await injector.detach();
    await Promise.all(lives);
    await ready(this.#server.url, 200);
    const states = await Promise.all(users.map((user) => this.#stateOf(user)));
    await pause(this.#chance.between(0, LONGEST));
    await this.#server.kill();
    return `after syncs failed from ${call} on (${states})`;
  }

  async #live(user: string): Promise<void> {
    const update = Y.encodeStateAsUpdate(longLived());
    const response = await this.#exchange(user, new Uint8Array(0), update).catch(() => null);
    if (response?.status !== 200) return;
    this.#saved.add(user);
    this.confirmations++;
  }

  async #stateOf(user: string): Promise<'none' | 'old' | 'new'> {
    const doc = new Y.Doc();
    const answer = await this.#exchange(user, NOTHING, new Uint8Array(0));
    const exchange = decodeExchange(new Uint8Array(await answer.arrayBuffer()));
    Y.applyUpdate(doc, exchange.update);
    const { size } = doc.store.clients;
    if (size === 0) {
      if (this.#saved.has(user)) this.problems.push(`${user}: what was confirmed is gone`);
      return 'none';
    }
    if (!equalityDeep(doc.getMap('notes').toJSON(), EXPECTED))
      this.problems.push(`${user}: not as it was written`);
    if (
      !equalityDeep(Y.decodeStateVector(exchange.stateVector), Y.decodeStateVector(Y.encodeStateVector(doc)))
    )
      this.problems.push(`${user}: the state vector is not that of the document`);
    const isNew = size === 1;
    if (!isNew && size <= 500) this.problems.push(`${user}: ${size} clients are neither the old nor the new`);
    // The server goes on where it was stopped: an old one may be written anew by now.
    const back = await this.#exchange(user, Y.encodeStateVector(longLived()), new Uint8Array(0));
    if (isNew && back.status !== 409)
      this.problems.push(`${user}: an old device was let in with ${back.status}`);
    return isNew ? 'new' : 'old';
  }

  #exchange(user: string, stateVector: Uint8Array, update: Uint8Array): Promise<Response> {
    const body = Buffer.from(encodeExchange({ stateVector, update }));
    return fetch(`${this.#server.url}/api/yjs/${user}?rewrites=1`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body,
      signal: AbortSignal.timeout(PATIENCE),
    });
  }
}

const EXPECTED = longLived().getMap('notes').toJSON();
