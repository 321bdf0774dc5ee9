/** One upgrade, led on to another node: its bytes are piped both ways, and nothing of WebSocket is done again. */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HOP_HEADER } from './hop-header.js';
import {
  CONNECT_TIMEOUT,
  HEARD,
  KEEP_ALIVE,
  Late,
  type Led,
  type Target,
  verdictOf,
  whyNot,
} from './hop-target.js';

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

/** Resolves with whether the owner took it; from then on, it runs until both sides have ended, or one hangs. */
export async function splice(target: Target, upgrade: Upgrade): Promise<Led> {
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
  const led = typeof answer === 'string' ? answer : verdictIn(answer);
  if (led !== 'led' || typeof answer === 'string') {
    owner.destroy();
    return led;
  }
  stream.write(answer);
  join(stream, owner);
  endWhenSilent(stream, owner, target.silence);
  return led;
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
function answerOf(owner: Socket, timeout: number): Promise<Buffer | Led> {
  return new Promise((resolve) => {
    let come = Buffer.alloc(0);
    let isHeard = false;
    let failure: unknown;
    const late = () => owner.destroy(new Late('the node did not answer in time'));
    let timer = setTimeout(late, CONNECT_TIMEOUT);
    const settle = (answer: Buffer | Led) => {
      clearTimeout(timer);
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
    owner.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(late, timeout);
    });
    owner.on('data', onData).on('end', onEnd).on('close', onEnd);
    owner.on('error', (error) => {
      failure = error;
    });
  });
}

function verdictIn(answer: Buffer): Led {
  const head = answer.toString('latin1', 0, answer.indexOf('\r\n\r\n'));
  const [, status] = /^HTTP\/1\.1 (\d+)/.exec(head) ?? [];
  return verdictOf(Number(status), new RegExp(`\r\n${HOP_HEADER}:`, 'i').test(head));
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
