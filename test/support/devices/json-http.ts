import type { Collections, JsonRecord } from '../../../shared/json.js';
import { type ById, byId } from '../clinic.js';
import { messageOf } from './json-words.js';

/** A JSON device over HTTP: it gets what there is, posts what it changed, and tells by the tag what it had. */
export class HttpDevice {
  readonly device: string;
  /** Its copy of the records: collection → id → record. */
  store: ById = {};
  #url!: string; // set by goTo()
  readonly #user: string;
  /** Of the last answer that arrived. */
  #etag: string | null = null;

  /** @param url of the server */
  constructor(url: string, user: string, device: string) {
    this.#user = user;
    this.device = device;
    this.goTo(url);
  }

  /** From now on the server is there. */
  goTo(url: string): void {
    this.#url = `${url}/api/sync/${this.#user}`;
  }

  /** Asks for what is new since the last answer; returns its status. */
  get(fate: 'arrives' | 'is lost' = 'arrives'): Promise<number> {
    return this.#ask({}, { fate });
  }

  /** Sends messages of changes, as `messageOf` makes them; returns the status. */
  post(messages: readonly object[], options: PostOptions = {}): Promise<number> {
    const changes = messages.map((message) => ({ ...message, userId: this.#user, deviceId: this.device }));
    return this.#ask({ method: 'POST', body: JSON.stringify({ changes }) }, options);
  }

  /** Writes whole records, `[collection, record]`, made now. */
  async write(...records: readonly (readonly [collection: string, record: JsonRecord])[]): Promise<void> {
    const now = Date.now();
    const changes = records.map(([collection, document]) => ({ collection, document, madeAt: now }));
    const status = await this.post(changes.map((change) => messageOf(change, 'both', now)));
    if (status !== 200) throw new Error(`POST got ${status}`);
  }

  record(collection: string, id: string): JsonRecord {
    const found = this.store[collection]?.[id];
    if (found === undefined) throw new Error(`${this.device} has no ${collection}/${id}`);
    return found;
  }

  async #ask(request: RequestInit, { fate = 'arrives', tag = 'tagged' }: PostOptions): Promise<number> {
    const isTagged = tag === 'tagged' && this.#etag !== null;
    const headers = { 'Device-ID': this.device, ...(isTagged && { 'If-None-Match': `${this.#etag}` }) };
    const response = await fetch(this.#url, { ...request, headers });
    const text = await response.text();
    if (response.status !== 200 && response.status !== 304) throw new HttpRefusal(response.status, text);
    if (fate === 'is lost') return response.status;
    this.#etag = response.headers.get('etag');
    if (response.status === 200) this.store = byId(JSON.parse(text) as Collections);
    return response.status;
  }
}

export class HttpRefusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(`got ${status} ${text}`);
    this.status = status;
  }
}

export interface PostOptions {
  /** Whether its answer reaches the device. */
  readonly fate?: 'arrives' | 'is lost';
  /** Whether it tells what it has. */
  readonly tag?: 'tagged' | 'untagged';
}
