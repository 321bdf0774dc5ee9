/** A user with devices of three kinds that come back by themselves, and somebody who reads meanwhile. */

import { setTimeout as pause } from 'node:timers/promises';
import { equalityDeep } from 'lib0/function';
import type { Collections } from '../../../shared/json.js';
import { inTime } from '../../support/wait.js';
import type { Chance } from '../chance.js';
import { ClientWriter } from '../client-writer.js';
import { Household, withoutEmpty } from '../household.js';
import { type Stop, startEdits, startLoad, startLoops } from '../load.js';
import { difference } from '../witness.js';
import { evidenceOf, type Surroundings } from './evidence.js';

/** Longest pauses of one device between two edits, requests and reads, in ms. */
const PAUSES = { edit: 6_000, request: 12_000 };
/** A JSON device tries again after so long; one that hears nothing for so long, too, in ms. */
const AGAIN = 1_000;
const CONNECT_TIME = 5_000;
const READ_TIME = 8_000;
/**
 * What a device may be told while a node or its store is gone: it keeps what it did, and comes again. A node that was
 * stopped answers 408 where it had not read the request by then.
 */
const PASSING: ReadonlySet<unknown> = new Set([
  ...['NOT_SAVED', 'STORE_UNAVAILABLE', 'OVERLOADED'],
  ...[408, 503],
]);

export class Patient extends Household {
  readonly client: ClientWriter;
  /** Answers that were out of date. */
  readonly stale: string[] = [];
  reads = 0;
  /** Answers that nobody should get, whatever fails. */
  readonly refused: string[] = [];
  readonly #place: Surroundings;
  readonly #chance: Chance;
  readonly #over = new AbortController();
  #revision = 0;

  constructor(place: Surroundings, user: string, chance: () => Chance) {
    super(place.url, user, chance, () => {});
    this.#place = place;
    this.#chance = chance();
    this.client = new ClientWriter('app', this.shared, chance());
  }

  /** All devices connect, and stay so. */
  async begin(): Promise<void> {
    await this.prepare();
    void this.#keepJson();
    await Promise.all([...this.natives.map((native) => native.connect()), this.client.connect()]);
  }

  /** All devices edit, and somebody reads. */
  load(chance: () => Chance): Stop {
    const reads = startLoops([
      async (isOver) => {
        const reader = chance();
        while (!isOver()) {
          await this.read(this.shared.url);
          await pause(reader.between(0, PAUSES.edit));
        }
      },
    ]);
    const stops = [startLoad([this], chance, PAUSES), startEdits(this.client, chance(), PAUSES.edit), reads];
    return async () => void (await Promise.all(stops.map((stop) => stop())));
  }

  /** What the server at this address says of the user: nothing that was known before it was asked may be missing. */
  async read(url: string): Promise<void> {
    const missing = this.ledger.asOfNow();
    const revision = this.#revision;
    const answer = await fetch(`${url}/api/sync/${this.user}`, {
      signal: AbortSignal.timeout(READ_TIME),
    }).catch(() => null);
    if (answer?.status !== 200) {
      if (answer !== null && !PASSING.has(answer.status)) this.refused.push(`${answer.status}`);
      await answer?.arrayBuffer().catch(() => {});
      return;
    }
    const collections = (await answer.json().catch(() => null)) as Collections | null;
    if (collections === null) return; // cut in the middle
    const found = Number(/^(?:W\/)?"(\d+)\./.exec(answer.headers.get('ETag') ?? '')?.[1]);
    const stale = found >= revision ? [] : [`revision ${found} after ${revision}`];
    const lacking = [...stale, ...missing(collections)];
    const at = new Date().toISOString();
    this.stale.push(...lacking.map((what) => `an answer at ${at} of revision ${found}: ${what}`));
    this.#revision = Math.max(this.#revision, found);
    this.reads++;
    this.ledger.sawAll(collections);
  }

  /** What keeps the devices from being equal, with all that they did known to be durable; `null` for nothing. */
  async hindrance(): Promise<string | null> {
    const { client, json, natives } = this;
    for (const writer of [client, ...natives]) {
      if (writer.unconfirmed > 0) writer.confirm();
    }
    const online = [
      ...natives.map(
        ({ name, device }) => [name, device.provider.wsconnected && device.provider.synced] as const,
      ),
      ...[json, client].map(({ name, isOnline }) => [name, isOnline] as const),
    ];
    const away = online.filter(([, is]) => !is).map(([name]) => name);
    if (away.length > 0) return `${this.user}: not connected: ${away}`;
    const unsaved = [...natives, json, client].filter(({ unconfirmed }) => unconfirmed > 0);
    if (unsaved.length > 0) return `${this.user}: not confirmed: ${unsaved.map(({ name }) => name)}`;
    const found = [...natives, json].map((writer) => [writer.name, withoutEmpty(writer.store())] as const);
    const expected = withoutEmpty(await client.read());
    for (const [name, store] of found)
      if (!equalityDeep(store, expected))
        return `${this.user}: ${name} / ${client.name}: ${difference(store, expected)}`;
    return null;
  }

  /** What was lost, or is wrong, of all that anybody was shown or told. */
  async verdict(): Promise<string[]> {
    const own = [
      ...this.stale,
      ...this.refused.map((what) => `refused with ${what}`),
      ...this.client.refused,
    ];
    this.#forgivePassing();
    const found = [
      ...own.map((what) => `${this.user}: ${what}`),
      ...this.refusals(),
      ...(await this.problems()),
    ];
    if (found.length === 0) return found;
    // Not problems of their own, so they are lines of the last one.
    const evidence = await evidenceOf(this, this.#place, found);
    return [...found.slice(0, -1), [found.at(-1), ...evidence].join('\n  ')];
  }

  async end(): Promise<void> {
    this.#over.abort();
    this.close();
    await this.client.close();
  }

  #forgivePassing(): void {
    for (const answers of [this.batch.refusals, this.exchange.refusals] as unknown[][])
      answers.splice(0, answers.length, ...answers.filter((each) => !PASSING.has(each)));
  }

  async #keepJson(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#connectJson().catch((error: unknown) => {
        this.json.course.note(`gives up: ${error}`);
        this.json.device?.ws.terminate();
      });
      await pause(this.#chance.between(AGAIN / 4, AGAIN));
    }
  }

  /** Resolves when the connection is over. An error ends it: what is not acknowledged is sent with the next one. */
  async #connectJson(): Promise<void> {
    const connected = this.json.connect();
    const { ws } = this.json.device ?? {};
    if (ws === undefined) return;
    ws.once('upgrade', ({ socket }) =>
      this.json.course.note(`is led to ${this.#place.frontOf(socket.localPort)}`),
    );
    const closed = new Promise<void>((resolve) => ws.once('close', () => resolve()));
    ws.on('message', () => {
      const errors = this.json.errors.splice(0);
      if (errors.length === 0) return;
      this.refused.push(...errors.filter((code) => !PASSING.has(code)));
      ws.terminate();
    });
    await inTime(
      Promise.race([connected, closed]),
      () => `the connection of ${this.json.name}`,
      CONNECT_TIME,
    );
    await closed;
  }
}
