/** One HTTP request, led on to another node before anything of its body is read. */
import { type IncomingMessage, request as open, type ServerResponse } from 'node:http';
import { hasGone, whenGone } from '../net/gone.js';
import { HOP_HEADER } from './hop-header.js';
import { KEEP_ALIVE, type Led, type Target, untilTaken, verdictOf, whyNot } from './hop-target.js';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The address as it was asked for. */
  readonly url: string;
}

/** These are of one connection. A proxy passes on what comes in chunks in chunks of its own. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'expect',
  HOP_HEADER.toLowerCase(),
]);
const OF_ANSWER: ReadonlySet<string> = new Set([...OF_CONNECTION, 'transfer-encoding']);

/**
 * Resolves with whether the owner took it. Nothing of the body is sent before the owner says "100 Continue", which it
 * does at once, for requests without a body too: so another node can be asked instead, and one that hangs is noticed.
 * After that nobody else is asked: it may have been done, and of its body nothing is left.
 */
export function forward(target: Target, exchange: Exchange): Promise<Led> {
  const { request, response, url } = exchange;
  if (hasGone(response)) return Promise.resolve('gone'); // while it was asked who serves the user
  // A node takes so many headers and no more: a client that sends a thousand can't push these out.
  const headers = [
    ...[HOP_HEADER, target.header, 'Expect', '100-continue', 'Connection', 'close'],
    ...headersOf(request.rawHeaders, OF_CONNECTION),
  ];
  const asked = open({ ...target.at, method: request.method, path: url, headers, agent: false });
  asked.setSocketKeepAlive(true, KEEP_ALIVE);
  asked.setTimeout(target.silence, () => void asked.destroy(new Error('the node says nothing any more')));
  whenGone(response, () => void asked.destroy());
  return new Promise((resolve) => {
    let isTaken = false;
    let isHeard = false;
    const inTime = untilTaken(asked, target.timeout);
    asked.once('information', () => {
      isHeard = true;
    });
    asked.once('continue', () => {
      isTaken = true;
      inTime();
      request.pipe(asked);
    });
    asked.once('response', (answer) => {
      inTime();
      const led = verdictOf(answer.statusCode ?? 0, HOP_HEADER.toLowerCase() in answer.headers);
      if (led === 'led') passOn(answer, exchange, isTaken);
      else asked.destroy();
      resolve(led);
    });
    asked.on('error', (error) => {
      inTime();
      request.unpipe(asked);
      // An answer that was begun can't be taken back: the client has to see that it is cut.
      if (response.headersSent) response.destroy();
      resolve(hasGone(response) ? 'gone' : isTaken ? 'lost' : whyNot(error, isHeard));
    });
  });
}

function headersOf(raw: readonly string[], without: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = raw.slice(i, i + 2);
    if (!without.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}

/** What this node would have said by itself gives way to what the owner says. */
function passOn(answer: IncomingMessage, { response }: Exchange, isTaken: boolean): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.sendDate = false;
  // The rest of a body that the owner does not want is not read here either.
  if (!isTaken) response.shouldKeepAlive = false;
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headersOf(answer.rawHeaders, OF_ANSWER));
  answer.pipe(response);
  answer.once('error', () => response.destroy());
}
