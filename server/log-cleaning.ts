/** What may stand in a line of the log: no tokens, no line ends, nothing of a record. */
import { visible } from '../shared/names.js';

/** The address without the value of a token in its query, whatever its spelling (A3). */
export function withoutToken(url: string): string {
  return url.replace(/([?&;])([^?&;=#]*)=([^&;#\s]*)/g, (_, sign: string, key: string, value: string) => {
    const secret = /^(access_)?token$/i.test(decoded(key));
    return `${sign}${key}=${secret ? '…' : withoutToken(value)}`;
  });
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a line end in a value would forge a line of the log
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
/** A token, wherever somebody put it; its parts are base64url of JSON objects. */
const TOKEN = /\beyJ[\w-]{5,}(?:\.|%2e)[\w-]+(?:(?:\.|%2e)[\w-]*)*/gi;
const printable = (text: string): string => visible(text.replace(CONTROL, ' ')).replace(TOKEN, '…');
/** Behind `bearer`, with what may stand between the two in a header, a subprotocol or an address. */
const BEARER = /\b(bearer(?:[\s,+]|%20|%2c)+)\S+/gi;
const scrub = (text: string): string => withoutToken(printable(text)).replace(BEARER, '$1…');

export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

/** An error without what may be a record or a token; JSON.parse, for one, quotes its input in its message. */
export function describe(error: unknown): Failure {
  if (!(error instanceof Error))
    return { name: typeof error, message: 'not an Error', stack: 'not an Error' };
  const own = error instanceof SyntaxError ? '(message withheld)' : scrub(error.message).slice(0, 500);
  const cause = error.cause instanceof Error ? describe(error.cause) : null;
  const stack = `${error.name}: ${own}${framesOf(error)}`;
  return {
    name: error.name,
    message: cause ? `${own} ← ${cause.message}` : own,
    stack: cause ? `${stack}\ncaused by ${cause.stack}` : stack,
  };
}

/** The stack below its message. */
function framesOf({ stack = '', message }: Error): string {
  const start = stack.indexOf(message);
  if (start < 0) return '';
  return stack.slice(start + message.length).replace(/^[^\n]+/, '');
}

export const brief = (error: unknown): string => describe(error).message;

const SCRUBBED = new Set(['url', 'reason']);

/** The same fields with strings that can stand in a line. */
export function clean<Fields extends object>(fields: Fields): Fields {
  const entries = Object.entries(fields).map(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') return [key, SCRUBBED.has(key) ? scrub(value) : printable(value)];
    return [key, key === 'error' ? value : printableNames(value)];
  });
  return Object.fromEntries(entries) as Fields;
}

/** Lists of names, and counts by name. */
function printableNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((name) => (typeof name === 'string' ? printable(name) : name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, count]) => [printable(name), count]));
}

export const failureOf = (fields: object): { error?: Failure } =>
  'error' in fields ? { error: describe(fields.error) } : {};
