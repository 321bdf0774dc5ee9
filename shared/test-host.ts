/** What the testing kit (telemed-sync/testing) and the server that it plays with say to each other. */

/** What is asked of the server, and answered once it is done. */
export type HostAsk =
  /** Starts on an empty disk, with options under the names that they have in the environment. */
  | { readonly do: 'start'; readonly options: Readonly<Record<string, string>> }
  /** Ends it as a power cut does, and starts it on what had reached its disk. */
  | { readonly do: 'crash' }
  /** Waits until what came from devices is handled, and durable for these users. */
  | { readonly do: 'quiet'; readonly users: readonly string[] }
  | { readonly do: 'fetch'; readonly request: HostRequest }
  | { readonly do: 'stop' };

export interface HostRequest {
  /** From the path on. */
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

export interface HostResponse {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

/** What happens on the wire of a device. */
export type WireEvent =
  | { readonly do: 'open'; readonly path: string; readonly protocols: readonly string[] }
  | { readonly do: 'send'; readonly data: Uint8Array | string }
  | { readonly do: 'close' };

export type ToHost =
  | { readonly now: number; readonly call: number; readonly ask: HostAsk }
  | { readonly now: number; readonly socket: number; readonly event: WireEvent }
  | { readonly now: number };

export type FromHost =
  | { readonly call: number; readonly answer: HostResponse | null }
  | { readonly call: number; readonly error: string }
  | { readonly socket: number; readonly opened: true }
  | { readonly socket: number; readonly data: Uint8Array | string }
  | { readonly socket: number; readonly closed: { readonly code: number; readonly reason: string } };
