/** One exchange over HTTP (H3), for where no socket gets through. */
import { decodeUtf8 } from 'lib0/string';
import { type Exchange, encodeExchange, MAX_TIMED_GIVEN } from '../../shared/exchange.js';
import { ClientError } from '../errors.js';
import type { FetchAnswer } from '../platform/platform.js';
import { readExchange } from './messages.js';
import { bytesOf, lacking } from './response-bytes.js';
import type { PendingChange } from './sync-source.js';
import type { ConnectionOptions } from './types.js';
import {
  ageOf,
  bytesIn,
  countIn,
  covered,
  firstPart,
  lacks,
  lastNumber,
  merged,
  type PartSize,
  timed,
} from './upload.js';
import { exchangeUrl, inHeader } from './urls.js';

/** The longest silence of an answer, in ms. */
const TIMEOUT = 30_000;
/** What the slowest line takes of a body, in bytes per ms: half of the 40 KB/s that N10 speaks of. */
const SLOWEST_LINE = 20;
/** The same where the platform hands over an answer only once it is complete: no byte is seen before. */
const UNSEEN = 300_000;
/** Whether answers are seen while they come in: not by React Native. */
const seesBytes = (): boolean => typeof Response === 'function' && 'body' in Response.prototype;
/** A body stays well below what proxies take (512 KB), and a line that breaks under it loses little (C11). */
const PART: PartSize = { bytes: 128 * 1024, changes: MAX_TIMED_GIVEN };
/** The first body tells what the server has already, so that little of it goes up twice where the answer is lost. */
const FIRST: PartSize = { bytes: 16 * 1024, changes: MAX_TIMED_GIVEN };
const NOTHING = new Uint8Array(0);
const ASKING: Exchange = { stateVector: NOTHING, update: NOTHING };
const EMPTY_DOCUMENT = Uint8Array.of(0);
const MALFORMED = 400;
const MISSING_DEPENDENCIES = 409;
const FULL = 413;
/** The most that `#giveTogether` sends in one body, in bytes. */
const MOST_TOGETHER = 4 * 1024 * 1024;

/** The answer was an error. */
export class HttpStatus extends Error {
  readonly status: number;
  /** The server that was asked for said so, and nothing on the way (C10). */
  readonly proved: boolean;
  /** Why, in the server's words; empty where it has none. */
  readonly said: string;
  /** The code of the server's table of errors. */
  readonly code: string;
  /** How long the server wants to be left alone, in ms. */
  readonly pause: number;

  constructor(status: number, proved: boolean, { code = '', message = '' }: ServerError, pause = 0) {
    super(`The answer was HTTP status ${status}.`);
    this.name = 'HttpStatus';
    this.status = status;
    this.proved = proved;
    this.said = message;
    this.code = code;
    this.pause = pause;
  }
}

interface ServerError {
  readonly code?: string;
  readonly message?: string;
}

const isProved = (error: unknown): error is HttpStatus => error instanceof HttpStatus && error.proved;

const isStatus = (error: unknown, status: number): error is HttpStatus =>
  isProved(error) && error.status === status;

/** What was sent, or asked for, is of a document that the server has written anew (P10). */
export const isRewritten = ({ code }: HttpStatus): boolean => code === 'REWRITTEN';

/** The server will refuse the same each time. */
const isRefusal = (error: unknown): error is HttpStatus =>
  isStatus(error, MALFORMED) || isStatus(error, FULL);

/** @param given how many changes go with it */
type Post = (exchange: Exchange, given?: number) => Promise<Exchange>;

/** One request. */
interface Asked {
  readonly url: string;
  readonly token: string | null;
  readonly exchange: Exchange;
}

export class HttpExchange {
  readonly #options: ConnectionOptions;
  readonly #confirmed: () => void;
  #abort = (): void => {};
  /** A server restored from a backup may lack deletions, which no state vector shows: they are sent once. */
  #deletionsGiven = false;
  /** False once a server without N9 has refused changes with times. */
  #takesTimes = true;

  constructor(options: ConnectionOptions, confirmed: () => void) {
    this.#options = options;
    this.#confirmed = confirmed;
  }

  /**
   * Gives what is pending and takes what is new. Asks the app for a token before each part, since a token may
   * expire before the last of them. Rejects with `HttpStatus` where the server refuses it.
   */
  async run(getToken: () => Promise<string | null>): Promise<void> {
    const { source } = this.#options;
    const post = this.#begin(getToken);
    const small = firstPart(source.pendingAfter(0), FIRST);
    const first = bytesIn(small) <= FIRST.bytes ? small : [];
    const answer = await this.#postWhole(post, first, null, source.stateVector());
    this.#confirm(first);
    if (answer.epoch !== undefined) source.hearEpoch?.(answer.epoch);
    if (answer.update.length > 0) await source.applyRemote(answer.update);
    await source.closeGaps(answer.stateVector);
    await this.#giveRest(post, lastNumber(first, 0), answer.stateVector);
  }

  /** Aborts the request under way; `run` rejects, and confirms nothing more. */
  abort(): void {
    this.#abort();
  }

  async #giveRest(post: Post, givenUpTo: number, serverHas: Uint8Array): Promise<void> {
    const { source } = this.#options;
    let has = serverHas;
    let all = source.pendingAfter(givenUpTo);
    const known = covered(all, has);
    const isLacking = ({ number }: PendingChange): boolean => !known.has(number);
    const begin = all.findIndex(isLacking);
    this.#confirm(begin < 0 ? all : all.slice(0, begin));
    let later = all.filter(isLacking);
    let part = firstPart(later, PART);
    for (; part.length < later.length; part = firstPart(later, PART)) {
      has = (await this.#postWhole(post, part, null, NOTHING)).stateVector;
      this.#confirm(part);
      all = source.pendingAfter(lastNumber(part, 0));
      later = all.filter(isLacking);
    }
    await this.#giveLast(post, later, has);
    this.#confirm(all);
  }

  /** With what the server lacks beyond the pending changes. */
  async #giveLast(post: Post, last: readonly PendingChange[], serverHas: Uint8Array): Promise<void> {
    const { source } = this.#options;
    const willHave = countIn(
      serverHas,
      last.map(({ update }) => update),
    );
    const isWhole = this.#deletionsGiven && !lacks(willHave, source.stateVector());
    const rest = isWhole ? null : source.diff(willHave);
    const fits = rest !== null && bytesIn(last) + rest.length <= PART.bytes;
    if (last.length > 0) await this.#postWhole(post, last, fits ? rest : null, NOTHING);
    this.#confirm(last);
    if (rest !== null && (last.length === 0 || !fits)) await this.#postWhole(post, [], rest, NOTHING);
    this.#deletionsGiven = true;
  }

  #confirm(pending: readonly PendingChange[]): void {
    if (pending.length === 0) return;
    this.#options.source.confirm(lastNumber(pending, 0));
    this.#confirmed();
  }

  /** Where the server lacks what the changes build on (409), it gets the whole document instead. */
  #postWhole(
    post: Post,
    given: readonly PendingChange[],
    rest: Uint8Array | null,
    stateVector: Uint8Array,
  ): Promise<Exchange> {
    const { source } = this.#options;
    return this.#postChanges(post, given, rest, stateVector).catch(async (error: unknown) => {
      if (isStatus(error, MISSING_DEPENDENCIES) && !isRewritten(error)) {
        await source.closeGaps((await post(ASKING)).stateVector);
        return post({ stateVector, update: source.diff(EMPTY_DOCUMENT) });
      }
      if (!isRefusal(error) || given.length === 0) throw error;
      if (error.status === FULL) await this.#giveTogether(post);
      const [change, another] = given;
      const isAlone = another === undefined && rest === null;
      if (isAlone && change !== undefined && this.#isPending(change))
        await this.#setAside(post, change, error); // not sent twice: rates are limited
      else await this.#giveAlone(post, given);
      return post({ stateVector, update: rest ?? NOTHING });
    });
  }

  /** A server that has no room judges changes by their sum: there may be room for all of them. */
  async #giveTogether(post: Post): Promise<void> {
    const { source } = this.#options;
    const all = source.pendingAfter(0);
    if (all.length < 2 || bytesIn(all) > MOST_TOGETHER) return;
    await post({ stateVector: NOTHING, update: merged(all) }, all.length).then(
      () => this.#confirm(all),
      (error: unknown) => {
        if (!isProved(error)) throw error;
      },
    );
  }

  /** Finds which one of them the server refuses, and has it set aside (C11). */
  async #giveAlone(post: Post, suspects: readonly PendingChange[]): Promise<void> {
    const { source } = this.#options;
    const pending = source.pendingAfter((suspects[0]?.number ?? 0) - 1);
    const left = pending.filter(({ number }) => number <= lastNumber(suspects, 0));
    const [change] = left;
    if (change === undefined) return;
    const half = left.slice(0, Math.ceil(left.length / 2));
    try {
      await this.#postChanges(post, half, null, NOTHING);
      this.#confirm(half);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (left.length === 1) await this.#setAside(post, change, error);
      await this.#giveAlone(post, half);
    }
    await this.#giveAlone(post, left.slice(half.length));
  }

  #isPending({ number }: PendingChange): boolean {
    return this.#options.source.pendingAfter(number - 1)[0]?.number === number;
  }

  async #setAside(post: Post, { number }: PendingChange, { code, said }: HttpStatus): Promise<never> {
    const { update } = await post({ stateVector: EMPTY_DOCUMENT, update: NOTHING });
    await this.#options.source.setAside(number, { code, reason: said }, update);
    throw new ClientError('CLOSED');
  }

  /** With their times, where they have some and the server does not refuse that. */
  #postChanges(
    post: Post,
    pending: readonly PendingChange[],
    rest: Uint8Array | null,
    stateVector: Uint8Array,
  ): Promise<Exchange> {
    const plain = () =>
      post(
        { stateVector, update: merged([...pending, ...(rest === null ? [] : [{ update: rest }])]) },
        pending.length,
      );
    if (!this.#takesTimes || !pending.some(({ madeAt }) => typeof madeAt === 'number')) return plain();
    const { clock } = this.#options.platform;
    const exchange = {
      stateVector,
      update: rest ?? NOTHING,
      timed: { sentAt: clock.now(), changes: timed(pending) },
    };
    return post(exchange, pending.length).catch(async (error: unknown) => {
      if (!isStatus(error, MALFORMED)) throw error;
      const answer = await plain();
      this.#takesTimes = false;
      return answer;
    });
  }

  #begin(getToken: () => Promise<string | null>): Post {
    const controller = typeof AbortController === 'undefined' ? null : new AbortController();
    let aborted = false;
    this.#abort = () => {
      aborted = true;
      controller?.abort();
    };
    const abort = this.#abort;
    return async (exchange, given = 0) => {
      const token = await getToken();
      if (aborted) throw new Error('The exchange was ended.');
      const url = exchangeUrl(this.#options) + this.#unsent(given);
      const answer = await this.#post({ url, token, exchange }, controller?.signal).catch((error) => {
        if (!isProved(error)) abort();
        throw error;
      });
      if (aborted) throw new Error('The exchange was ended.');
      return answer;
    };
  }

  /** What an operator asks before wiping a phone: how many changes are here alone once this is answered. */
  #unsent(given: number): string {
    const { source, platform } = this.#options;
    const left = source.pendingAfter(0).slice(given);
    return `&unsent=${left.length + (source.kept?.() ?? 0)}&age=${ageOf(left, platform.clock.now())}`;
  }

  /** Gives up where the server stays silent for too long: what comes in slowly does come (N10). */
  #post(asked: Asked, signal: AbortSignal | undefined): Promise<Exchange> {
    const body = encodeExchange(asked.exchange);
    const { clock } = this.#options.platform;
    return new Promise((resolve, reject) => {
      const tooLate = (): void => reject(new Error('The server did not answer in time.'));
      let stop = clock.after((seesBytes() ? TIMEOUT : UNSEEN) + body.length / SLOWEST_LINE, tooLate);
      const onProgress = (): void => {
        stop();
        stop = clock.after(TIMEOUT, tooLate);
      };
      const sent = this.#send(asked, body, signal, onProgress);
      sent.then(resolve, reject).finally(() => stop());
    });
  }

  async #send(
    { url, token }: Asked,
    body: Uint8Array,
    signal: AbortSignal | undefined,
    onProgress: () => void,
  ): Promise<Exchange> {
    const { platform, deviceId } = this.#options;
    const { fetch } = platform;
    const challenge = platform.newId();
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'error',
      headers: {
        'Sync-Challenge': challenge,
        'Device-ID': inHeader(deviceId),
        'Content-Type': 'application/octet-stream',
        ...(token !== null && { Authorization: `Bearer ${token}` }),
      },
      body,
      ...(signal !== undefined && { signal }),
    });
    return answerOf(response, challenge, onProgress);
  }
}

/** What confirms has to be proved as well as what refuses (C10). */
async function answerOf(answer: FetchAnswer, challenge: string, onProgress: () => void): Promise<Exchange> {
  const { ok, status, redirected = false, headers } = answer;
  if (redirected) throw new Error('Something on the way sent this device to another address.');
  if (headers === undefined) throw lacking('headers');
  // Something on the way answered: its body may never end, so it is not read.
  if (headers.get('Sync-Proof') !== challenge) throw new HttpStatus(status, false, {});
  const bytes = await bytesOf(answer, onProgress);
  if (ok) return readExchange(bytes);
  throw new HttpStatus(status, true, errorIn(bytes), 1_000 * (Number(headers.get('Retry-After')) || 0));
}

/** What an error of our server says. */
function errorIn(bytes: Uint8Array): ServerError {
  try {
    const { code, message } = JSON.parse(decodeUtf8(bytes));
    return { code: String(code ?? ''), message: String(message ?? '') };
  } catch {
    return {};
  }
}
