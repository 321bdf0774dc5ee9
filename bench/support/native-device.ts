/** A native device without a document: speaks the y protocol, and knows of an update only that it came. */
import { once } from 'node:events';
import * as decoding from 'lib0/decoding';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import { closedBy, type Device } from './crowd.js';
import { CHECKPOINT, SYNC, SYNC_STATUS, SYNC_STEP_1, SYNC_STEP_2, syncFrame, UPDATE } from './frames.js';

const EMPTY = new Y.Doc();
const ASK = syncFrame(SYNC_STEP_1, Y.encodeStateVector(EMPTY));
const NOTHING_TO_GIVE = syncFrame(SYNC_STEP_2, Y.encodeStateAsUpdate(EMPTY));

/** How a server wants its messages: something before each, and one first. */
export interface Speech {
  readonly prefix: Uint8Array;
  readonly hello: Uint8Array | null;
}

const PLAIN: Speech = { prefix: new Uint8Array(0), hello: null };

export class NativeDevice implements Device<Uint8Array> {
  onUpdate: () => void = () => {};
  /** Called for everything of the document that the server sends. */
  onContent: (message: Buffer) => void = () => {};
  /** How often the server has confirmed what came before. */
  confirmed = 0;
  readonly #url: string;
  readonly #handshake: boolean;
  readonly #speech: Speech;
  #ws: WebSocket | null = null;
  #answered: (message: Buffer) => void = () => {};
  #lost: (error: Error) => void = () => {};

  /** `handshake`: whether the server speaks the y protocol, or only forwards. */
  constructor(url: string, handshake: boolean, speech = PLAIN) {
    this.#url = url;
    this.#speech = speech;
    this.#handshake = handshake;
  }

  /** Connects; with `handshake`, until the server has answered what it has. */
  async open(): Promise<void> {
    const synced = this.#answer();
    const ws = new WebSocket(this.#url, { perMessageDeflate: false, skipUTF8Validation: true });
    this.#ws = ws;
    ws.on('message', (data: Buffer) => this.#receive(data));
    await once(ws, 'open');
    ws.on('error', (error) => this.#lost(error));
    ws.on('close', (code, reason) => this.#lost(closedBy(code, reason)));
    if (this.#speech.hello !== null) this.send(this.#speech.hello);
    if (!this.#handshake) return;
    this.send(ASK);
    await synced;
  }

  send(message: Uint8Array): void {
    const { prefix } = this.#speech;
    this.#ws?.send(prefix.length === 0 ? message : Buffer.concat([prefix, message]));
  }

  /** Sends; resolves when it is durable. */
  async save(message: Uint8Array): Promise<void> {
    const saved = this.#answer();
    this.send(message);
    this.send(CHECKPOINT);
    await saved;
  }

  /** What the server has beyond a state vector, as one update; all of it for none. */
  async read(vector?: Uint8Array): Promise<Uint8Array> {
    const answer = this.#answer();
    this.send(vector === undefined ? ASK : syncFrame(SYNC_STEP_1, vector));
    return decoding.readVarUint8Array(decoding.createDecoder(Uint8Array.from((await answer).subarray(2))));
  }

  close(): void {
    this.#ws?.terminate();
  }

  /** Who waits is told when the connection is lost; where nobody does, that is no fault. */
  #answer(): Promise<Buffer> {
    const answer = new Promise<Buffer>((resolve, reject) => {
      this.#answered = resolve;
      this.#lost = reject;
    });
    answer.catch(() => {});
    return answer;
  }

  #receive(whole: Buffer): void {
    const data = whole.subarray(this.#speech.prefix.length);
    if (data[0] === CHECKPOINT[0] || data[0] === SYNC_STATUS) this.confirmed++;
    if (data[0] === CHECKPOINT[0]) this.#answered(data);
    if (data[0] !== SYNC) return;
    this.onContent(data);
    if (data[1] === UPDATE) this.onUpdate();
    else if (data[1] === SYNC_STEP_1) this.send(NOTHING_TO_GIVE);
    else this.#answered(data);
  }
}
