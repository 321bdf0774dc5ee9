/** A native device without a document: speaks the y protocol, and knows of an update only that it came. */
import { once } from 'node:events';
import * as encoding from 'lib0/encoding';
import { WebSocket } from 'ws';
import * as Y from 'yjs';

const SYNC = 0;
const SYNC_STEP_1 = 0;
const SYNC_STEP_2 = 1;
const UPDATE = 2;

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

export class NativeDevice {
  /** Called for each update of another device. */
  onUpdate: () => void = () => {};
  readonly #url: string;
  #ws: WebSocket | null = null;

  constructor(url: string) {
    this.#url = url;
  }

  /** Connects; with `handshake`, until the server has answered what it has. */
  async open(handshake: boolean): Promise<void> {
    let answered = () => {};
    const synced = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const ws = new WebSocket(this.#url, { perMessageDeflate: false, skipUTF8Validation: true });
    this.#ws = ws;
    ws.on('message', (data: Buffer) => {
      if (data[0] !== SYNC) return;
      if (data[1] === UPDATE) this.onUpdate();
      else if (data[1] === SYNC_STEP_1) this.send(NOTHING_TO_GIVE);
      else answered();
    });
    await once(ws, 'open');
    ws.on('error', () => {});
    if (!handshake) return;
    this.send(ASK);
    await synced;
  }

  send(message: Uint8Array): void {
    this.#ws?.send(message);
  }

  close(): void {
    this.#ws?.terminate();
  }
}
