/** A native device without a document: speaks the y protocol, and knows of an update only that it came. */
import { once } from 'node:events';
import * as encoding from 'lib0/encoding';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import type { Device } from './crowd.js';

const SYNC = 0;
const SYNC_STEP_1 = 0;
const SYNC_STEP_2 = 1;
const UPDATE = 2;
/** Comes back once everything before it is durable. */
const CHECKPOINT = Uint8Array.of(100, 1);

function frame(step: number, body: Uint8Array): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, step);
    encoding.writeVarUint8Array(encoder, body);
  });
}

export const updateFrame = (update: Uint8Array): Uint8Array => frame(UPDATE, update);

const EMPTY = new Y.Doc();
const ASK = frame(SYNC_STEP_1, Y.encodeStateVector(EMPTY));
const NOTHING_TO_GIVE = frame(SYNC_STEP_2, Y.encodeStateAsUpdate(EMPTY));

export class NativeDevice implements Device<Uint8Array> {
  onUpdate: () => void = () => {};
  readonly #url: string;
  readonly #handshake: boolean;
  #ws: WebSocket | null = null;
  #answered: () => void = () => {};

  /** `handshake`: whether the server speaks the y protocol, or only forwards. */
  constructor(url: string, handshake: boolean) {
    this.#url = url;
    this.#handshake = handshake;
  }

  /** Connects; with `handshake`, until the server has answered what it has. */
  async open(): Promise<void> {
    const synced = this.#answer();
    const ws = new WebSocket(this.#url, { perMessageDeflate: false, skipUTF8Validation: true });
    this.#ws = ws;
    ws.on('message', (data: Buffer) => this.#receive(data));
    await once(ws, 'open');
    ws.on('error', () => {});
    if (!this.#handshake) return;
    this.send(ASK);
    await synced;
  }

  send(message: Uint8Array): void {
    this.#ws?.send(message);
  }

  /** Sends; resolves when it is durable. */
  save(message: Uint8Array): Promise<void> {
    const saved = this.#answer();
    this.send(message);
    this.send(CHECKPOINT);
    return saved;
  }

  close(): void {
    this.#ws?.terminate();
  }

  #answer(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  #receive(data: Buffer): void {
    if (data[0] === CHECKPOINT[0]) this.#answered();
    if (data[0] !== SYNC) return;
    if (data[1] === UPDATE) this.onUpdate();
    else if (data[1] === SYNC_STEP_1) this.send(NOTHING_TO_GIVE);
    else this.#answered();
  }
}
