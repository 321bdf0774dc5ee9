/** Where the frames of a WebSocket end, in bytes that go through and of which nothing else is looked at. */
import type { SyncError } from '../errors.js';

const CLOSE = 8;
/** Bytes behind the first two, by the short length that they take the place of. */
const LENGTH_BYTES: Readonly<Record<number, number>> = { 126: 2, 127: 8 };
const MASK_BYTES = 4;

export class Frames {
  /** Of a header that has come in part. */
  #header: number[] = [];
  /** Bytes of a payload that are still to come. */
  #left = 0;
  #isClosing = false;

  /** Whether a frame may be put behind all that has gone through. */
  get takesAnother(): boolean {
    return this.#left === 0 && this.#header.length === 0 && !this.#isClosing;
  }

  pass(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const skipped = Math.min(this.#left, bytes.length - at);
      this.#left -= skipped;
      at += skipped;
      if (at < bytes.length) this.#take(bytes[at++] as number);
    }
  }

  #take(byte: number): void {
    this.#header.push(byte);
    const [first = 0, second = 0] = this.#header;
    const lengthBytes = LENGTH_BYTES[second & 127] ?? 0;
    const maskBytes = second > 127 ? MASK_BYTES : 0;
    if (this.#header.length < 2 + lengthBytes + maskBytes) return;
    const length = this.#header.slice(2, 2 + lengthBytes);
    this.#left = lengthBytes === 0 ? second & 127 : length.reduce((sum, each) => sum * 256 + each, 0);
    this.#isClosing ||= (first & 15) === CLOSE;
    this.#header = [];
  }
}

/** As a server sends it. */
export function closeFrame({ closeCode, message }: SyncError): Buffer {
  const reason = Buffer.from(message);
  return Buffer.concat([
    Buffer.from([128 | CLOSE, 2 + reason.length, closeCode >> 8, closeCode & 255]),
    reason,
  ]);
}
