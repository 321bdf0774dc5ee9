/**
 * Small messages as they go over the wire: header and content in one piece, made once for all who get the message.
 * What is larger is left to `ws`, which does not copy it.
 */

/** Types of frames (RFC 6455), each the last one of its message. */
const TEXT = 0x81;
const BINARY = 0x82;
const PING = 0x89;
/** Beyond so many bytes of content the header has another form. */
const SHORT = 125;
const LENGTH_FOLLOWS = 126;
/** In bytes: to copy as much costs less than to hand over two pieces. */
export const MAX_JOINED = 1_024;

interface Last {
  readonly content: Uint8Array;
  readonly type: number;
  readonly frame: Buffer;
}

/** The last message, which goes to all connections of its user one after the other. */
let last: Last = { content: new Uint8Array(), type: 0, frame: Buffer.alloc(0) };

/** @param content at most `MAX_JOINED` bytes, which don't change any more */
export function messageFrame(content: Uint8Array, isBinary: boolean): Buffer {
  const type = isBinary ? BINARY : TEXT;
  if (last.content !== content || last.type !== type) last = { content, type, frame: frameOf(type, content) };
  return last.frame;
}

/** @param payload of one byte a letter, at most 125 of them */
export function pingFrame(payload: string): Buffer {
  const frame = Buffer.allocUnsafe(2 + payload.length);
  frame[0] = PING;
  frame[1] = payload.length;
  frame.write(payload, 2, 'latin1');
  return frame;
}

function frameOf(type: number, content: Uint8Array): Buffer {
  const isShort = content.length <= SHORT;
  const header = isShort ? 2 : 4;
  const frame = Buffer.allocUnsafe(header + content.length);
  frame[0] = type;
  if (isShort) frame[1] = content.length;
  else {
    frame[1] = LENGTH_FOLLOWS;
    frame.writeUInt16BE(content.length, 2);
  }
  frame.set(content, header);
  return frame;
}
