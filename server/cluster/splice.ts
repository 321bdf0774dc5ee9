/** One upgrade, led on to another node: its bytes are piped both ways, and of WebSocket only the end of frames is known. */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { SyncError } from '../errors.js';
import { Deadline } from '../net/deadline.js';
import { CONNECT_TIMEOUT } from '../net/reachable.js';
import { closeFrame, Frames } from './frames.js';
import { HOP_HEADER } from './hop-header.js';
import { HEARD, KEEP_ALIVE, Late, type Led, type Target, verdictOf, whyNot } from './hop-target.js';

/** An upgrade as it came in. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly stream: Duplex;
  readonly head: Buffer;
}

/** What an owner says before the WebSocket is open takes less. */
const MOST_HEAD = 65_536;
/** How long a client may take to end its side, once the owner has ended and all of it was sent, in ms. */
const LAST_WORDS_TIME = 5_000;

/** An upgrade that the owner took: it runs until both sides have ended, or one hangs. */
export class Splice {
  readonly #client: Duplex;
  readonly #owner: Socket;
  /** What the owner sends, where it has opened a WebSocket. */
  #frames: Frames | null = null;

  constructor(client: Duplex, owner: Socket, silence: number) {
    [this.#client, this.#owner] = [client, owner];
    owner.on('data', (data) => this.#frames?.pass(data));
    join(client, owner);
    endWhenSilent(client, owner, silence);
  }

  /** @param answer of the owner, perhaps with frames behind its head */
  begin(answer: Buffer): void {
    if (statusIn(answer) === 101) {
      this.#frames = new Frames();
      this.#frames.pass(answer.subarray(endOfHead(answer)));
    }
    this.#client.write(answer);
  }

  /** Tells the client to come again; in the middle of a frame of the owner's it can't be told, and is cut off. */
  leave(): void {
    if (this.#client.writableEnded) return; // it was told, or its owner has ended
    if (!this.#frames?.takesAnother) {
      this.cut();
      return;
    }
    this.#client.unpipe(this.#owner).resume();
    this.#owner.unpipe(this.#client).destroy();
    this.#client.write(closeFrame(new SyncError('RESTARTING')));
    endSoon(this.#client);
  }

  cut(): void {
    this.#client.destroy();
  }
}

type NotLed = Exclude<Led, 'led'>;

/** Resolves with what the owner took, or why it did not. */
export async function splice(target: Target, upgrade: Upgrade): Promise<Splice | NotLed> {
  const { stream, head } = upgrade;
  // Either side may end first, as both could without a node in between.
  const alive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE };
  const owner = connect({ ...target.at, ...alive, noDelay: true, allowHalfOpen: true });
  const clientGone = () => owner.destroy();
  stream.once('close', clientGone);
  owner.write(headOf(upgrade.request, target.header), 'latin1');
  if (head.length > 0) owner.write(head);
  const answer = await answerOf(owner, target.timeout);
  stream.off('close', clientGone);
  if (stream.destroyed) {
    owner.destroy();
    return 'gone';
  }
  if (typeof answer === 'string') {
    owner.destroy();
    return answer;
  }
  const verdict = verdictIn(answer);
  if (verdict !== 'led') {
    owner.destroy();
    return verdict;
  }
  const spliced = new Splice(stream, owner, target.silence);
  spliced.begin(answer);
  return spliced;
}

/**
 * The request as it came, but for the header of the hop, which nobody else can give. That one comes first: a node takes
 * so many headers and no more, and a client may send a thousand.
 */
function headOf({ method, url, rawHeaders }: IncomingMessage, header: string): string {
  const lines = [`${method} ${url} HTTP/1.1`, `${HOP_HEADER}: ${header}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.toLowerCase() !== HOP_HEADER.toLowerCase()) lines.push(`${name}: ${rawHeaders[i + 1] ?? ''}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** What the owner says first: a whole head, perhaps with more behind it. */
function answerOf(owner: Socket, timeout: number): Promise<Buffer | NotLed> {
  return new Promise((resolve) => {
    let come = Buffer.alloc(0);
    let isHeard = false;
    let failure: unknown;
    const inTime = new Deadline(CONNECT_TIMEOUT, () => owner.destroy(new Late()));
    const settle = (answer: Buffer | NotLed) => {
      inTime.end();
      owner.off('data', onData).off('end', onEnd).off('close', onEnd).pause();
      resolve(answer);
    };
    const onEnd = () => settle(whyNot(failure, isHeard));
    const onData = (data: Buffer) => {
      come = Buffer.concat([come, data]);
      if (!isHeard && come.toString('latin1', 0, HEARD.length) === HEARD) {
        isHeard = true;
        come = come.subarray(HEARD.length);
      }
      if (come.includes('\r\n\r\n')) settle(come);
      else if (come.length > MOST_HEAD) owner.destroy();
    };
    owner.once('connect', () => inTime.restart(timeout));
    owner.on('data', onData).on('end', onEnd).on('close', onEnd);
    owner.on('error', (error) => {
      failure = error;
    });
  });
}

const END_OF_HEAD = '\r\n\r\n';
const endOfHead = (answer: Buffer): number => answer.indexOf(END_OF_HEAD) + END_OF_HEAD.length;

const statusIn = (answer: Buffer): number =>
  Number(/^HTTP\/1\.1 (\d+)/.exec(answer.toString('latin1', 0, 16))?.[1]);

function verdictIn(answer: Buffer): Led {
  const head = answer.toString('latin1', 0, endOfHead(answer) - END_OF_HEAD.length);
  return verdictOf(statusIn(answer), new RegExp(`\r\n${HOP_HEADER}:`, 'i').test(head));
}

/** Pipes wait for the slower side. What one side ended with is sent before the other side hears of the end. */
function join(client: Duplex, owner: Socket): void {
  client.pipe(owner).pipe(client);
  owner.on('close', () => endSoon(client));
  client.on('close', () => owner.destroy());
  client.on('error', () => owner.destroy());
  owner.once('end', () => client.once('finish', () => endLater(client)));
}

/**
 * An owner pings, so one of which nothing comes hangs, or its machine is gone. Nothing comes either while the client
 * takes nothing of what waits for it; then the end of the owner's side would not be heard of.
 */
function endWhenSilent(client: Duplex, owner: Socket, silence: number): void {
  const timer = setTimeout(() => {
    owner.destroy();
    client.destroy();
  }, silence).unref();
  const heard = () => timer.refresh();
  owner.on('data', heard);
  client.on('drain', heard);
  client.once('close', () => {
    clearTimeout(timer);
    client.off('drain', heard);
  });
}

/** What is still to be sent to it goes out first. */
function endSoon(client: Duplex): void {
  client.end(() => endLater(client));
}

function endLater(client: Duplex): void {
  const timer = setTimeout(() => client.destroy(), LAST_WORDS_TIME).unref();
  client.once('close', () => clearTimeout(timer));
}
