/** Sockets of our own client that end at real sessions of a registry, without a network. */
import type { WebSocketConstructor, WebSocketLike } from '../../client/platform/platform.js';
import type { DocumentRegistry } from '../../server/documents/registry.js';
import type { Following } from '../../server/documents/sleep/followed-documents.js';
import { ERRORS } from '../../server/errors.js';
import { YjsSession } from '../../server/gateways/yjs/session.js';
import { messages } from '../../server/protocol/yjs.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import { yjsOutbox } from './devices/outbox.js';

export interface AppServer {
  /** `null`: nobody answers. */
  readonly registry: DocumentRegistry | null;
  readonly user: UserId;
  readonly now: () => number;
}

const LOST = 1006;

/** Those of one device, which `cut` ends. */
export class AppLine {
  readonly #server: AppServer;
  readonly #open = new Set<AppSocket>();
  /** Whether anybody answers it. */
  isCut = false;

  constructor(server: AppServer) {
    this.#server = server;
  }

  get WebSocket(): WebSocketConstructor {
    const line = this;
    return class extends AppSocket {
      constructor(url: string) {
        super(new URL(url), () => (line.isCut ? null : line.#server));
        line.#open.add(this);
      }
    };
  }

  /** What is under way is lost. */
  cut(): void {
    for (const socket of this.#open) socket.closes(LOST);
    this.#open.clear();
  }
}

class AppSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  #isOpen = true;
  #session: YjsSession | null = null;
  #following: Following | null = null;

  constructor(url: URL, serverOf: () => AppServer | null) {
    queueMicrotask(() => void this.#begin(url, serverOf()));
  }

  send(data: Uint8Array): void {
    const bytes = data.slice();
    queueMicrotask(() => {
      if (this.#isOpen) this.#session?.receive(bytes);
    });
  }

  close(): void {
    this.#end();
  }

  closes(code: number): void {
    if (!this.#isOpen) return;
    this.#end();
    queueMicrotask(() => this.onclose?.({ code, reason: '' }));
  }

  #end(): void {
    this.#isOpen = false;
    this.#session?.leave();
    this.#session = null;
    this.#following?.release();
    this.#following = null;
  }

  #hears(message: Uint8Array): void {
    queueMicrotask(() => {
      if (this.#isOpen) this.onmessage?.({ data: message.slice().buffer });
    });
  }

  async #begin({ searchParams }: URL, server: AppServer | null): Promise<void> {
    const following = await server?.registry?.follow(server.user);
    if (following === undefined || server === null) this.closes(LOST);
    else if (!this.#isOpen) following.release();
    else this.#enter(searchParams, server, following);
  }

  #enter(asked: URLSearchParams, { now }: AppServer, following: Following): void {
    this.#following = following;
    this.onopen?.();
    this.#hears(messages.proof(asked.get('challenge') ?? ''));
    this.#session = new YjsSession({
      document: following.document,
      device: asked.get('deviceId') as DeviceId,
      asksForTimes: asked.has('times'),
      takesRewrites: asked.has('rewrites'),
      asksForEpoch: asked.has('epoch'),
      outbox: yjsOutbox({
        send: (bytes) => this.#hears(bytes),
        close: ({ code }) => {
          const entry: { readonly status: number; readonly close?: number } = ERRORS[code];
          this.closes(entry.close ?? LOST);
        },
      }),
      now,
      maxPending: 256 * 1024,
      pendingTimeout: 30_000,
    });
    this.#session.start();
  }
}
