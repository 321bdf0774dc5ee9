import { encodeUtf8 } from 'lib0/string';
import type { AwarenessEntry } from '../../shared/yjs-messages.js';
import { ClientError } from '../errors.js';
import type { Clock } from '../platform/platform.js';
import type { Observable } from '../status.js';
import { ObservableValue } from '../views/observable.js';

/** Who else is there: what each connected client of the user says of itself. Never stored. */
export interface Presence extends Observable<readonly PresenceEntry[]> {
  /** Says something of this client to the others: JSON, at most 4 KB; null takes it back. */
  set(state: Readonly<Record<string, unknown>> | null): void;
}

export interface PresenceEntry {
  readonly clientId: number;
  /** This client itself. */
  readonly self: boolean;
  readonly state: Readonly<Record<string, unknown>>;
}

/** What a connection needs of the presence. */
export interface PresenceLink {
  /** There is a connection: says by `send` what this client has said, now and whenever it changes. */
  connected(send: (entries: readonly AwarenessEntry[]) => void): void;
  /** What the server tells of others. */
  applyRemote(entries: readonly AwarenessEntry[]): void;
  /** The connection is gone, and who was seen through it. */
  disconnected(): void;
}

/** In bytes of its JSON text; the server ignores larger ones (N6). */
const MAX_STATE = 4 * 1024;
/** Peers with y-websocket hide a client that has sent nothing for 30 s. */
const RENEWAL = 15_000;
const NOBODY = 'null';

interface Known {
  readonly clock: number;
  readonly text: string;
  /** Null for one that left. */
  readonly entry: PresenceEntry | null;
}

/** The presence of one client session, under the client id of its document. */
export class LivePresence implements Presence, PresenceLink {
  readonly #id: number;
  readonly #clock: Clock;
  readonly #entries = new ObservableValue<readonly PresenceEntry[]>([]);
  #own: Known = { clock: 0, text: NOBODY, entry: null };
  #others = new Map<number, Known>();
  #send: ((entries: readonly AwarenessEntry[]) => void) | null = null;
  #stopRenewal = (): void => {};

  constructor(doc: { readonly clientID: number }, clock: Clock) {
    this.#id = doc.clientID;
    this.#clock = clock;
  }

  get current(): readonly PresenceEntry[] {
    return this.#entries.current;
  }

  subscribe(listener: (entries: readonly PresenceEntry[]) => void): () => void {
    return this.#entries.subscribe(listener);
  }

  set(state: Readonly<Record<string, unknown>> | null): void {
    const text = JSON.stringify(state);
    if (encodeUtf8(text).length > MAX_STATE) {
      throw new ClientError('INVALID_OPTIONS', 'What presence says of a client has at most 4 KB of JSON.');
    }
    if (text === this.#own.text) return;
    this.#own = { clock: this.#own.clock, text, entry: entryOf(this.#id, text, true) };
    this.#tellApp();
    this.#tellOthers();
  }

  connected(send: (entries: readonly AwarenessEntry[]) => void): void {
    this.#send = send;
    if (this.#own.entry !== null) this.#tellOthers();
  }

  applyRemote(entries: readonly AwarenessEntry[]): void {
    for (const entry of entries) if (entry.id !== this.#id) this.#apply(entry);
    this.#tellApp();
  }

  disconnected(): void {
    this.#send = null;
    this.#stopRenewal();
    this.#others = new Map();
    this.#tellApp();
  }

  #apply({ id, clock, state }: AwarenessEntry): void {
    const known = this.#others.get(id);
    const isNews = known === undefined || clock > known.clock || (clock === known.clock && state === NOBODY);
    if (!isNews) return;
    const entry = known?.text === state ? known.entry : entryOf(id, state, false);
    this.#others.set(id, { clock, text: state, entry });
  }

  /** Each message has a higher clock: peers drop others, also after this client was away for a while. */
  #tellOthers(): void {
    this.#stopRenewal();
    if (this.#send === null) return;
    const { clock, text, entry } = this.#own;
    this.#own = { clock: clock + 1, text, entry };
    this.#send([{ id: this.#id, clock: clock + 1, state: text }]);
    if (entry !== null) this.#stopRenewal = this.#clock.after(RENEWAL, () => this.#tellOthers());
  }

  #tellApp(): void {
    const all = [this.#own, ...this.#others.values()];
    this.#entries.set(all.flatMap(({ entry }) => entry ?? []));
  }
}

/** Null for what is no JSON object: this client has left, or says nothing that can be shown. */
function entryOf(clientId: number, text: string, self: boolean): PresenceEntry | null {
  const state = parsed(text);
  return typeof state === 'object' && state !== null && !Array.isArray(state)
    ? { clientId, self, state: state as PresenceEntry['state'] }
    : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
