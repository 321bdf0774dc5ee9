/** A device that always has so many edits under way, more than a server gets done, and counts what was confirmed. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import * as Y from 'yjs';
import { CHECKPOINT, updateFrame } from './frames.js';
import { lostOf, type Way } from './visits.js';

/** Edits that a writer has sent and that are not confirmed. */
const UNDER_WAY = 30;
const MOST = 5_000;
const ACK = '{"type":"ACK"';

/** The same edits for all: each sets a record's number. */
function numbers(): Uint8Array[] {
  const doc = new Y.Doc();
  doc.clientID = 5;
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  const record = new Y.Map<number>();
  doc.getMap('appointments').set('native', record);
  for (let n = 1; n <= MOST; n++) record.set('n', n);
  return updates.map(updateFrame);
}

let frames: readonly Uint8Array[] | null = null;

export class Writer {
  readonly #user: string;
  readonly #way: Way;
  #ws: WebSocket | null = null;
  #sent = 0;
  #isWriting = false;
  #atRest: () => void = () => {};
  confirmed = 0;
  closedWith: number | null = null;

  constructor(index: number) {
    this.#user = `writer-${index}`;
    this.#way = index % 2 === 0 ? 'native' : 'json';
  }

  async open(port: number): Promise<void> {
    const user = this.#user;
    const path =
      this.#way === 'native' ? `yjs/${user}?deviceId=phone` : `sync?userId=${user}&deviceId=tablet`;
    const ws = new WebSocket(`ws://127.0.0.1:${port}/${path}`, { perMessageDeflate: false });
    this.#ws = ws;
    await once(ws, 'open');
    ws.on('error', () => {});
    ws.on('close', (code) => {
      this.closedWith = code;
      this.#atRest();
    });
    ws.on('message', (data: Buffer) => this.#receive(data));
  }

  write(): void {
    this.#isWriting = true;
    frames ??= numbers();
    while (this.#sent - this.confirmed < UNDER_WAY && this.#sent < MOST) this.#send(++this.#sent);
  }

  /** Sends nothing more; resolves when all that was sent is confirmed, or the connection is gone. */
  rest(): Promise<void> {
    this.#isWriting = false;
    if (this.confirmed === this.#sent || this.closedWith !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#atRest = resolve;
    });
  }

  /** What a fresh device does not find of what was confirmed. */
  lost(port: number): Promise<string[]> {
    return lostOf(this.#user, { native: 0, json: 0, [this.#way]: this.confirmed }, port);
  }

  close(): void {
    this.#ws?.terminate();
  }

  #send(n: number): void {
    if (this.#way === 'native') {
      if (n === 1) this.#ws?.send(frames?.[0] ?? CHECKPOINT);
      this.#ws?.send(frames?.[n] ?? CHECKPOINT);
      this.#ws?.send(CHECKPOINT);
      return;
    }
    const timestamp = Date.now();
    const document = { id: 'json', n, timestamp };
    const data = { collection: 'appointments', document, timestamp };
    const envelope = { type: 'DATA_UPDATE', userId: this.#user, deviceId: 'tablet', data, timestamp };
    this.#ws?.send(JSON.stringify({ ...envelope, ack: String(n) }));
  }

  #receive(data: Buffer): void {
    const isAnswer =
      this.#way === 'native' ? data[0] === CHECKPOINT[0] : data.toString('latin1', 0, ACK.length) === ACK;
    if (!isAnswer) return;
    this.confirmed++;
    if (this.#isWriting) this.write();
    else if (this.confirmed === this.#sent) this.#atRest();
  }
}
