/** The network as one device of a ward has it: there, or cut. */
import type { HostResponse } from '../../shared/test-host.js';
import type { Connectivity, Fetch, WebSocketConstructor, WebSocketLike } from '../platform/platform.js';
import type { HostLink } from './host-link.js';

/** No name is looked up: all of it goes to the server of the ward. */
export const WARD_URL = 'http://ward.test';

export class DeviceNetwork {
  readonly host: HostLink;
  readonly sockets = new Set<WardSocket>();
  isCut = false;
  readonly #listeners = new Set<Parameters<Connectivity['subscribe']>[0]>();

  constructor(host: HostLink) {
    this.host = host;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of [...this.sockets]) socket.lose();
    this.#tell('offline');
  }

  mend(): void {
    this.isCut = false;
    this.#tell('online');
  }

  /** Somebody looks at the device again. */
  wake(): void {
    this.#tell('foreground');
  }

  readonly connectivity: Connectivity = {
    subscribe: (listener) => {
      this.#listeners.add(listener);
      return () => void this.#listeners.delete(listener);
    },
  };

  get WebSocket(): WebSocketConstructor {
    const network = this;
    return class extends WardSocket {
      constructor(url: string, protocols: string[] = []) {
        super(network, url, protocols);
      }
    };
  }

  readonly fetch: Fetch = async (url, { method, headers, body }) => {
    if (this.isCut) throw new TypeError('fetch failed: this device is cut off');
    const path = pathOf(url);
    const answer = await this.host.ask({ do: 'fetch', request: { path, method, headers, body } });
    if (this.isCut || answer === null) throw new TypeError('fetch failed: this device is cut off');
    return answerOf(answer);
  };

  #tell(hint: Parameters<Parameters<Connectivity['subscribe']>[0]>[0]): void {
    for (const listener of [...this.#listeners]) listener(hint);
  }
}

const pathOf = (url: string): string => url.slice(url.indexOf('/', url.indexOf('://') + 3));

function answerOf({ status, headers, body }: HostResponse): Awaited<ReturnType<Fetch>> {
  const named = new Map(headers);
  return {
    ok: status >= 200 && status < 300,
    status,
    headers: { get: (name) => named.get(name.toLowerCase()) ?? null },
    arrayBuffer: async () => new Uint8Array(body).buffer,
  };
}

/** A device's end of a socket. */
export class WardSocket implements WebSocketLike {
  binaryType = 'blob';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly #network: DeviceNetwork;
  #socket: number | null = null;

  constructor(network: DeviceNetwork, url: string, protocols: readonly string[]) {
    this.#network = network;
    network.sockets.add(this);
    if (network.isCut) {
      queueMicrotask(() => this.#ended(1006, ''));
      return;
    }
    this.#socket = network.host.open(pathOf(url), protocols, {
      opened: () => this.onopen?.(),
      said: (data) => this.onmessage?.({ data }),
      closed: (code, reason) => this.#ended(code, reason),
    });
  }

  send(data: Uint8Array | string): void {
    const copy = typeof data === 'string' ? data : data.slice();
    if (this.#socket !== null) this.#network.host.say(this.#socket, { do: 'send', data: copy });
  }

  close(): void {
    if (this.#socket !== null) this.#network.host.say(this.#socket, { do: 'close' });
  }

  /** The line is cut: what was sent is on its way, and nothing comes back any more. */
  lose(): void {
    if (this.#socket === null) return;
    this.close();
    this.#network.host.forget(this.#socket);
    this.#ended(1006, '');
  }

  #ended(code: number, reason: string): void {
    this.#socket = null;
    this.#network.sockets.delete(this);
    this.onclose?.({ code, reason });
  }
}
