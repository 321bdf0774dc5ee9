/** One upgrade, led on to another node: its bytes are piped both ways, and nothing of WebSocket is done again. */
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HOP_HEADER } from './hop-header.js';
import { CONNECT_TIMEOUT, type Led, type Target, whyNot } from './hop-target.js';

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

/** Resolves with whether the owner took it; from then on, it runs until both sides have ended. */
export async function splice(target: Target, upgrade: Upgrade): Promise<Led> {
  const { stream, head } = upgrade;
  // Either side may end first, as both could without a node in between.
  const owner = connect({ ...target.at, noDelay: true, allowHalfOpen: true });
  const clientGone = () => owner.destroy();
  stream.once('close', clientGone);
  owner.write(headOf(upgrade.request, target.header), 'latin1');
  if (head.length > 0) owner.write(head);
  const answer = await answerOf(owner, target.timeout);
  stream.off('close', clientGone);
  if (stream.destroyed) return 'gone';
  const led = typeof answer === 'string' ? answer : verdictOf(answer);
  if (led !== 'led' || typeof answer === 'string') {
    owner.destroy();
    return led;
  }
  stream.write(answer);
  join(stream, owner);
  return led;
}

/** The request as it came, but for the header of the hop, which nobody else can give. */
function headOf({ method, url, rawHeaders }: IncomingMessage, header: string): string {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.toLowerCase() !== HOP_HEADER.toLowerCase()) lines.push(`${name}: ${rawHeaders[i + 1] ?? ''}`);
  }
  return `${[...lines, `${HOP_HEADER}: ${header}`].join('\r\n')}\r\n\r\n`;
}

/** What the owner says first: a whole head, perhaps with more behind it. */
function answerOf(owner: Socket, timeout: number): Promise<Buffer | Led> {
  return new Promise((resolve) => {
    let come = Buffer.alloc(0);
    let failure: unknown;
    let timer = setTimeout(() => owner.destroy(), CONNECT_TIMEOUT);
    const settle = (answer: Buffer | Led) => {
      clearTimeout(timer);
      owner.off('data', onData).off('end', onEnd).off('close', onEnd).pause();
      resolve(answer);
    };
    const onEnd = () => settle(whyNot(failure));
    const onData = (data: Buffer) => {
      come = Buffer.concat([come, data]);
      if (come.includes('\r\n\r\n')) settle(come);
      else if (come.length > MOST_HEAD) owner.destroy();
    };
    owner.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(() => owner.destroy(), timeout);
    });
    owner.on('data', onData).on('end', onEnd).on('close', onEnd);
    owner.on('error', (error) => {
      failure = error;
    });
  });
}

function verdictOf(answer: Buffer): Led {
  const head = answer.toString('latin1', 0, answer.indexOf('\r\n\r\n'));
  if (/^HTTP\/1\.1 421 /.test(head)) return 'not mine';
  return new RegExp(`\r\n${HOP_HEADER}:`, 'i').test(head) ? 'silent' : 'led';
}

/** Pipes wait for the slower side. What one side ended with is sent before the other side hears of the end. */
function join(client: Duplex, owner: Socket): void {
  client.pipe(owner).pipe(client);
  owner.on('close', () => endSoon(client));
  client.on('close', () => owner.destroy());
  client.on('error', () => owner.destroy());
  owner.once('end', () => client.once('finish', () => endLater(client)));
}

/** What is still to be sent to it goes out first. */
function endSoon(client: Duplex): void {
  client.end(() => endLater(client));
}

function endLater(client: Duplex): void {
  const timer = setTimeout(() => client.destroy(), LAST_WORDS_TIME).unref();
  client.once('close', () => clearTimeout(timer));
}
