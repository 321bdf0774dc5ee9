/** A JSON body before it is parsed: what it would become must not be many times what it is. */
import type { IncomingMessage } from 'node:http';

/** Objects and arrays of a body; each takes about 60 bytes of memory, and may take two of the body. */
export const MAX_CONTAINERS = 500_000;
/** Levels around a record in a batch. */
const AROUND = 8;
/** Nothing smaller can become large, in bytes. */
const HARMLESS = 64 * 1024;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

export type BodyRefusal = 'entity.too.deep' | 'entity.too.many';

/** For the `verify` of `express.json`. */
export function checkBody(maxDepth: number) {
  return (_request: IncomingMessage, _response: unknown, body: Buffer): void => {
    if (body.length <= HARMLESS) return;
    const { depth, containers } = shapeOf(body);
    if (depth > maxDepth + AROUND) throw refusal('entity.too.deep');
    if (containers > MAX_CONTAINERS) throw refusal('entity.too.many');
  };
}

/** An error as the body parser makes its own: it writes its status into it. */
const refusal = (type: BodyRefusal): Error => Object.assign(new Error('The body is refused.'), { type });

/** Of what is JSON; of anything else, whatever comes out. */
function shapeOf(body: Buffer): { readonly depth: number; readonly containers: number } {
  let [level, depth, containers] = [0, 0, 0];
  for (let at = 0; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) at = endOfString(body, at);
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      containers++;
      level++;
      if (level > depth) depth = level;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) level--;
  }
  return { depth, containers };
}

function endOfString(body: Buffer, start: number): number {
  for (let at = start + 1; at < body.length; at++) {
    if (body[at] === BACKSLASH) at++;
    else if (body[at] === QUOTE) return at;
  }
  return body.length;
}
