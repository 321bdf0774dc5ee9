import * as decoding from 'lib0/decoding';
import { WebSocket } from 'ws';
import type { WebSocketConstructor } from '../../client/platform/platform.js';

const CHECKPOINT = 100;

/**
 * The network of one device, over real sockets: it can be cut, and loses or doubles answers to checkpoints on
 * demand.
 */
export class FaultyNetwork {
  /** Told of each answer before the device gets it; of none that comes to a connection which it has given up. */
  onConfirm: (n: number) => void = () => {};
  /** Somebody who answers instead of the server. */
  foreign: { insteadOf(url: string): string } | null = null;
  #lose = 0;
  #double = 0;
  #isCut = false;
  readonly #sockets = new Set<WebSocket>();

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.terminate();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** The next answers to checkpoints are lost. */
  loseSome(): void {
    this.#lose += 2;
  }

  loseNone(): void {
    this.#lose = 0;
  }

  /** The next answers to checkpoints come twice. */
  doubleSome(): void {
    this.#double += 2;
  }

  get WebSocket(): WebSocketConstructor {
    const network = this;
    return class extends WebSocket {
      constructor(url: string, protocols?: string[]) {
        super(network.foreign?.insteadOf(url) ?? url, protocols);
        network.#add(this);
      }

      override emit(event: string | symbol, ...args: unknown[]): boolean {
        if (event !== 'message') return super.emit(event, ...args);
        let emitted = false;
        const times = this.listenerCount(event) > 0 ? network.#times(args[0]) : 0;
        for (let time = 0; time < times; time++) emitted = super.emit(event, ...args);
        return emitted;
      }
    } as unknown as WebSocketConstructor;
  }

  #add(socket: WebSocket): void {
    if (this.#isCut) socket.terminate();
    this.#sockets.add(socket);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#sockets.delete(socket));
  }

  /** How often a message arrives. */
  #times(data: unknown): number {
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : (data as Uint8Array);
    if (bytes[0] !== CHECKPOINT) return 1;
    if (this.#lose > 0) {
      this.#lose--;
      return 0;
    }
    this.onConfirm(decoding.readVarUint(decoding.createDecoder(bytes.subarray(1))));
    if (this.#double === 0) return 1;
    this.#double--;
    return 2;
  }
}
