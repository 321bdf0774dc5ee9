/**
 * The `ack` of a message that is too large to be parsed: it is read where it stands near the beginning or the end,
 * on the outermost level, as clients write it.
 */
import { ackOf } from '../../protocol/json.js';

/** How much is looked at of either end, in characters. */
const REACH = 2_048;
const KEY = '"ack"';
const KEY_AND_VALUE = /^"ack"\s*:\s*"(?:[^"\\]|\\.)*"/;

export function ackAround(raw: string | Uint8Array): string | undefined {
  return ackAtEnd(textOf(raw.slice(-REACH))) ?? ackAtStart(textOf(raw.slice(0, REACH)));
}

const textOf = (part: string | Uint8Array): string =>
  typeof part === 'string' ? part : new TextDecoder().decode(part);

/** What begins with it has to be all that is left of the outermost object. */
function ackAtEnd(text: string): string | undefined {
  const at = text.lastIndexOf(KEY);
  return at < 0 ? undefined : ackIn(`{${text.slice(at)}`);
}

/** What comes before it has to be of the outermost object. */
function ackAtStart(text: string): string | undefined {
  const at = text.indexOf(KEY);
  if (at < 0) return undefined;
  const [member] = KEY_AND_VALUE.exec(text.slice(at)) ?? [];
  return member === undefined ? undefined : ackIn(`${text.slice(0, at)}${member}}`);
}

function ackIn(text: string): string | undefined {
  try {
    return ackOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}
