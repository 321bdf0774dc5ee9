/** JSON before it is parsed: what it would become must not be many times what it is. */
import type { IncomingMessage } from 'node:http';

/** Objects and arrays of a body or message; each takes about 60 bytes of memory, and may take two of the body. */
export const MAX_CONTAINERS = 500_000;
/** Levels around a record in a batch. */
const AROUND = 8;
/** Nothing smaller can become large, in bytes. */
export const SMALL = 64 * 1024;

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

export type BodyRefusal = 'entity.too.deep' | 'entity.too.many';

/** For the `verify` of `express.json`. */
export function checkBody(maxDepth: number) {
  return (_request: IncomingMessage, _response: unknown, body: Buffer): void => {
    const problem = shapeProblem(body, maxDepth);
    if (problem !== null) throw refusal(problem);
  };
}

/** Why it is not to be parsed; `null` if it may be. */
export function shapeProblem(body: Uint8Array, maxDepth: number): BodyRefusal | null {
  if (body.length <= SMALL) return null;
  const { depth, containers } = shapeOf(body);
  if (depth > maxDepth + AROUND) return 'entity.too.deep';
  return containers > MAX_CONTAINERS ? 'entity.too.many' : null;
}

/** An error as the body parser makes its own: it writes its status into it. */
const refusal = (type: BodyRefusal): Error => Object.assign(new Error('The body is refused.'), { type });

/** Of what is JSON; of anything else, whatever comes out. */
function shapeOf(body: Uint8Array): { readonly depth: number; readonly containers: number } {
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

function endOfString(body: Uint8Array, start: number): number {
  for (let at = start + 1; at < body.length; at++) {
    if (body[at] === BACKSLASH) at++;
    else if (body[at] === QUOTE) return at;
  }
  return body.length;
}
