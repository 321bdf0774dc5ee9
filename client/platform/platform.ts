/** What a platform gives the client: injected, so that the client runs the same everywhere, and in tests. */
import type { DeviceStorage } from '../local-store/store.js';

/** The part of the standard WebSocket that the client uses. */
export interface WebSocketLike {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
}
/** `protocols` carry the token; without one they are not given. */
export type WebSocketConstructor = new (url: string, protocols?: string[]) => WebSocketLike;

/** The part of the standard `fetch` that the client uses. */
export type Fetch = (
  url: string,
  init: {
    method: string;
    headers: Record<string, string>;
    body: Uint8Array;
    redirect?: 'error';
    signal?: AbortSignal;
  },
) => Promise<FetchAnswer>;

export interface FetchAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly redirected?: boolean;
  readonly headers?: { get(name: string): string | null };
  /** The bytes as they come in; null or missing where a platform gives them at the end only. */
  readonly body?: { getReader(): ByteReader } | null;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob?(): Promise<unknown>;
}

/** The part of the standard stream reader that the client uses. */
interface ByteReader {
  read(): Promise<{ readonly value?: Uint8Array | undefined }>;
}

export interface Clock {
  /** ms since 1970. */
  now(): number;
  /** Calls once, after `ms`; the returned function takes it back. */
  after(ms: number, task: () => void): () => void;
}

/**
 * What the platform believes of the network. A hint to try at once or to say so, never a gate: attempts go on
 * with growing pauses whatever it says.
 */
export interface Connectivity {
  /** `online`: the network came back; `offline`: it went; `foreground`: the app or tab is looked at again. */
  subscribe(listener: (hint: 'online' | 'offline' | 'foreground') => void): () => void;
}

export interface Platform {
  readonly storage: DeviceStorage;
  /** `undefined` where there is none: then only HTTP is used. */
  readonly WebSocket: WebSocketConstructor | undefined;
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly connectivity: Connectivity;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly newId: () => string;
}
