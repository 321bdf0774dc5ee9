import * as Y from 'yjs';
import { decodeExchange, encodeExchange } from '../../server/protocol/exchange.js';
import type { Collections } from '../../shared/json.js';
import type { Chance } from './chance.js';
import { type Fact, recordKey } from './ledger.js';
import type { Shared } from './writer.js';

/** A request; `null` when the server went away before it answered. */
async function ask(url: string, init: RequestInit): Promise<Response | null> {
  return fetch(url, init).catch(() => null);
}

/** The answer's body; `null` when the server went away in the middle of it. */
async function bodyOf(response: Response): Promise<Uint8Array | null> {
  return response.arrayBuffer().then(
    (body) => new Uint8Array(body),
    () => null,
  );
}

/** A copy, since a body must not lie in memory that could be shared. */
const bodyFor = (exchange: Parameters<typeof encodeExchange>[0]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(encodeExchange(exchange));

/** Reads twice where the first connection was an idle one that the server ended just then. */
export const read = (url: string, init: RequestInit = {}): Promise<Response> =>
  fetch(url, init).catch(() => fetch(url, init));

/** GET /api/sync (H1). */
export async function readAll({ url, user }: Shared): Promise<Collections> {
  const response = await read(`${url}/api/sync/${user}`, { headers: { 'Device-ID': 'reader' } });
  if (response.status !== 200) throw new Error(`GET /api/sync answered ${response.status}`);
  return (await response.json()) as Collections;
}

/** Everything that a fresh client gets from POST /api/yjs (H3). */
export async function readBytes({ url, user }: Shared): Promise<Uint8Array> {
  const body = bodyFor({ stateVector: Uint8Array.of(0), update: new Uint8Array(0) });
  const response = await read(`${url}/api/yjs/${user}`, { method: 'POST', body });
  if (response.status !== 200) throw new Error(`POST /api/yjs answered ${response.status}`);
  return decodeExchange(new Uint8Array(await response.arrayBuffer())).update;
}

/** A device that sends batches by POST /api/sync (H2). */
export class BatchWriter {
  readonly name: string;
  /** Statuses of answers other than 200. */
  readonly refusals: number[] = [];
  readonly #shared: Shared;
  readonly #chance: Chance;
  #number = 0;
  /** What the last answer said, by id. */
  #copy = new Map<string, object>();
  #etag = '';

  constructor(name: string, shared: Shared, chance: Chance) {
    this.name = name;
    this.#shared = shared;
    this.#chance = chance;
  }

  async send(): Promise<void> {
    const { settled, ledger } = this.#shared;
    const count = 1 + this.#chance.below(5);
    const ids = Array.from({ length: count }, () => settled[this.#chance.below(settled.length)] ?? '');
    const facts = ids.map((id): Fact & { kind: 'value' } => {
      const record = recordKey('appointments', id);
      return { kind: 'value', record, field: this.name, value: ++this.#number };
    });
    for (const fact of facts) ledger.issue(fact);
    const documents = ids.map((id, index) => this.#changed(id, facts[index]?.value));
    const answer = await this.post(documents.map((document) => ['appointments', document] as const));
    if (answer === null) return;
    for (const fact of facts) ledger.confirm(fact);
    ledger.sawAll(answer);
  }

  /** The whole record as the last answer had it, with the change in it. */
  #changed(id: string, value: unknown): object {
    const document = { ...this.#copy.get(id), id, [this.name]: value };
    this.#copy.set(id, document);
    return document;
  }

  /** The collections that the server answers; `null` where it refused or went away. */
  async post(writes: readonly (readonly [string, object])[]): Promise<Collections | null> {
    const { url, user: userId } = this.#shared;
    const changes = writes.map(([collection, document]) => ({
      type: 'DATA_UPDATE',
      data: { collection, document, timestamp: Date.now() },
      userId,
      deviceId: this.name,
    }));
    const headers = {
      'Device-ID': this.name,
      'Content-Type': 'application/json',
      'If-None-Match': this.#etag,
    };
    const body = JSON.stringify({ changes });
    const response = await ask(`${url}/api/sync/${userId}`, { method: 'POST', headers, body });
    if (response !== null && response.status !== 200) this.refusals.push(response.status);
    if (response?.status !== 200) return null;
    const text = await bodyOf(response);
    if (text === null) return null;
    const collections = JSON.parse(Buffer.from(text).toString()) as Collections;
    this.#etag = response.headers.get('ETag') ?? '';
    this.#copy = new Map((collections.appointments ?? []).map((record) => [String(record.id), record]));
    return collections;
  }
}

/** A native device in the background, which gives and takes by POST /api/yjs (H3). */
export class ExchangeWriter {
  readonly name: string;
  readonly refusals: number[] = [];
  readonly #shared: Shared;
  readonly #chance: Chance;
  readonly #doc = new Y.Doc();
  /** What the server has for certain. */
  #known: Uint8Array = Uint8Array.of(0);
  readonly #waiting: Fact[] = [];
  #number = 0;

  constructor(name: string, shared: Shared, chance: Chance) {
    this.name = name;
    this.#shared = shared;
    this.#chance = chance;
  }

  async send(): Promise<void> {
    if (this.#known.length > 1) for (let left = this.#chance.below(4); left > 0; left--) this.#edit();
    const { url, user, ledger, witness } = this.#shared;
    const given = Y.encodeStateAsUpdate(this.#doc, this.#known);
    const facts = [...this.#waiting];
    const body = bodyFor({ stateVector: Y.encodeStateVector(this.#doc), update: given });
    const headers = { 'Device-ID': this.name };
    const response = await ask(`${url}/api/yjs/${user}`, { method: 'POST', headers, body });
    if (response !== null && response.status !== 200) this.refusals.push(response.status);
    const answer = response?.status === 200 ? await bodyOf(response) : null;
    if (answer === null) return;
    const { stateVector, update } = decodeExchange(answer);
    Y.applyUpdate(this.#doc, update);
    this.#known = stateVector;
    witness.add(update);
    witness.add(given);
    this.#waiting.splice(0, facts.length);
    for (const fact of facts) ledger.confirm(fact);
  }

  #edit(): void {
    const { settled, ledger } = this.#shared;
    const id = settled[this.#chance.below(settled.length)] ?? '';
    const map = this.#doc.getMap('appointments').get(id);
    if (!(map instanceof Y.Map)) return;
    const value = ++this.#number;
    map.set(this.name, value);
    const fact: Fact = { kind: 'value', record: recordKey('appointments', id), field: this.name, value };
    ledger.issue(fact);
    this.#waiting.push(fact);
  }
}
