/** One exchange over HTTP (H3), for where no socket gets through. */
import { decodeUtf8 } from 'lib0/string';
import * as Y from 'yjs';
import { type Exchange, encodeExchange, MAX_TIMED_GIVEN } from '../shared/protocol/exchange.js';
import { withLimit } from './connection-token.js';
import type { ConnectionOptions } from './connection-types.js';
import { countIn, lacks, lastNumber, mergedChunks, timed } from './connection-upload.js';
import { exchangeUrl, inHeader } from './connection-url.js';
import { ClientError } from './errors.js';
import { readExchange } from './messages.js';
import type { FetchAnswer } from './platform.js';
import type { PendingChange } from './sync-source.js';

const TIMEOUT = 30_000;
const NOTHING = new Uint8Array(0);
const EMPTY_DOCUMENT = Uint8Array.of(0);
const MALFORMED = 400;
const MISSING_DEPENDENCIES = 409;

/** The answer was an error. */
export class HttpStatus extends Error {
  readonly status: number;
  /** The server that was asked for said so, and nothing on the way (C10). */
  readonly proved: boolean;
  /** Why, in the server's words; empty where it has none. */
  readonly said: string;

  constructor(status: number, proved: boolean, said: string) {
    super(`The answer was HTTP status ${status}.`);
    this.name = 'HttpStatus';
    this.status = status;
    this.proved = proved;
    this.said = said;
  }
}

const isStatus = (error: unknown, status: number): boolean =>
  error instanceof HttpStatus && error.proved && error.status === status;

type Post = (exchange: Exchange) => Promise<Exchange>;

export class HttpExchange {
  readonly #options: ConnectionOptions;
  #abort = (): void => {};
  /** A server of an older backup may lack deletions, which no state vector shows: it gets them once. */
  #deletionsGiven = false;
  /** A server from before takes no times. */
  #takesTimes = true;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Gives what is pending and takes what is new. Rejects with `HttpStatus` where the server refuses it. */
  async run(token: string | null): Promise<void> {
    const { source } = this.#options;
    const post = this.#begin(token);
    const pending = source.pendingAfter(0).slice(0, MAX_TIMED_GIVEN);
    const answer = await this.#give(post, pending, null, source.stateVector());
    if (answer.update.length > 0) await source.receive(answer.update);
    await this.#giveRest(post, lastNumber(pending, 0), answer.stateVector);
  }

  /** Ends what is under way: nothing comes of it any more. */
  abort(): void {
    this.#abort();
  }

  async #giveRest(post: Post, givenUpTo: number, serverHas: Uint8Array): Promise<void> {
    const { source } = this.#options;
    let has = serverHas;
    let later = source.pendingAfter(givenUpTo);
    for (; later.length > MAX_TIMED_GIVEN; later = source.pendingAfter(givenUpTo)) {
      const part = later.slice(0, MAX_TIMED_GIVEN);
      has = (await this.#give(post, part, null, NOTHING)).stateVector;
      givenUpTo = lastNumber(part, 0);
    }
    const willHave = countIn(
      has,
      later.map(({ update }) => update),
    );
    if (this.#deletionsGiven && !lacks(willHave, source.stateVector())) return;
    await this.#give(post, later, source.diff(willHave), NOTHING);
    this.#deletionsGiven = true;
  }

  async #give(
    post: Post,
    pending: readonly PendingChange[],
    rest: Uint8Array | null,
    stateVector: Uint8Array,
  ): Promise<Exchange> {
    const { source } = this.#options;
    const answer = await this.#postChanges(post, pending, rest, stateVector).catch((error: unknown) => {
      if (!isStatus(error, MISSING_DEPENDENCIES)) throw error;
      return post({ stateVector, update: source.diff(EMPTY_DOCUMENT) });
    });
    source.confirm(lastNumber(pending, 0));
    return answer;
  }

  /** With their times, where they have some and the server does not refuse that. */
  #postChanges(
    post: Post,
    pending: readonly PendingChange[],
    rest: Uint8Array | null,
    stateVector: Uint8Array,
  ): Promise<Exchange> {
    const plain = () =>
      post({ stateVector, update: merged([...mergedChunks(pending), ...(rest === null ? [] : [rest])]) });
    if (!this.#takesTimes || !pending.some(({ madeAt }) => typeof madeAt === 'number')) return plain();
    const { clock } = this.#options.platform;
    const exchange = {
      stateVector,
      update: rest ?? NOTHING,
      timed: { sentAt: clock.now(), changes: timed(pending) },
    };
    return post(exchange).catch((error: unknown) => {
      if (!isStatus(error, MALFORMED)) throw error;
      this.#takesTimes = false;
      return plain();
    });
  }

  #begin(token: string | null): Post {
    const controller = typeof AbortController === 'undefined' ? null : new AbortController();
    let aborted = false;
    this.#abort = () => {
      aborted = true;
      controller?.abort();
    };
    const abort = this.#abort;
    return async (exchange) => {
      if (aborted) throw new Error('The exchange was ended.');
      const request = this.#post(token, exchange, controller?.signal);
      const sentence = 'The server did not answer in time.';
      const answer = await withLimit(this.#options.platform.clock, TIMEOUT, sentence, request).catch(
        (error) => {
          if (!(error instanceof HttpStatus)) abort();
          throw error;
        },
      );
      if (aborted) throw new Error('The exchange was ended.');
      return answer;
    };
  }

  async #post(token: string | null, exchange: Exchange, signal: AbortSignal | undefined): Promise<Exchange> {
    const { platform, deviceId } = this.#options;
    const { fetch } = platform;
    const challenge = platform.newId();
    const response = await fetch(exchangeUrl(this.#options), {
      method: 'POST',
      redirect: 'error',
      headers: {
        'Sync-Challenge': challenge,
        'Device-ID': inHeader(deviceId),
        'Content-Type': 'application/octet-stream',
        ...(token !== null && { Authorization: `Bearer ${token}` }),
      },
      body: encodeExchange(exchange),
      ...(signal !== undefined && { signal }),
    });
    if (response.redirected) throw new Error('Something on the way sent this device to another address.');
    if (response.ok) return readExchange(await bytesOf(response));
    const proved = response.headers?.get('Sync-Proof') === challenge;
    throw new HttpStatus(response.status, proved, proved ? await wordsOf(response) : '');
  }
}

/** Older versions of React Native have `arrayBuffer` in name only. */
async function bytesOf(response: FetchAnswer): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const missing =
      'fetch gives no bytes here (arrayBuffer is missing): use React Native 0.73 or newer, or pass another fetch.';
    throw new ClientError('OFFLINE', missing, { cause });
  }
}

/** The message of an error of our server, or nothing. */
async function wordsOf(response: FetchAnswer): Promise<string> {
  try {
    const { message } = JSON.parse(decodeUtf8(new Uint8Array(await response.arrayBuffer())));
    return typeof message === 'string' ? message : '';
  } catch {
    return '';
  }
}

const merged = (updates: readonly Uint8Array[]): Uint8Array =>
  updates.length === 0 ? NOTHING : Y.mergeUpdates([...updates]);
