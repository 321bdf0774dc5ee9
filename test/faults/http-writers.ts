import * as Y from 'yjs';
import { decodeExchange, encodeExchange } from '../../server/protocol/exchange.js';
import type { Collections, JsonRecord } from '../../shared/json.js';
import { HttpDevice, HttpRefusal } from '../support/devices/json-http.js';
import { apply, messageOf } from '../support/devices/json-words.js';
import type { Chance } from './chance.js';
import { aboutAll, aboutOne, Course, keyOf } from './course.js';
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

/** Reads twice where the first connection was one that the server ended just then, with a 408 or without a word. */
export const read = (url: string, init: RequestInit = {}): Promise<Response> =>
  fetch(url, init).then(
    (response) => (response.status === 408 ? fetch(url, init) : response),
    () => fetch(url, init),
  );

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
  readonly course = new Course();
  readonly #shared: Shared;
  readonly #chance: Chance;
  #number = 0;
  readonly #http: HttpDevice;

  constructor(name: string, shared: Shared, chance: Chance) {
    this.name = name;
    this.#shared = shared;
    this.#chance = chance;
    this.#http = new HttpDevice(shared.url, shared.user, name);
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
    if (!(await this.post(documents.map((document) => ['appointments', document] as const)))) return;
    for (const fact of facts) ledger.confirm(fact);
    for (const [name, records] of Object.entries(this.#http.store)) {
      for (const record of Object.values(records)) ledger.saw(name, record);
    }
  }

  /** The whole record as the device has it, with the change in it. */
  #changed(id: string, value: unknown): JsonRecord {
    const { appointments = {} } = this.#http.store;
    const document = { ...appointments[id], id, [this.name]: value } as JsonRecord;
    apply(this.#http.store, { collection: 'appointments', document });
    return document;
  }

  /** Whether the server took it: it may have refused or gone away. */
  async post(writes: readonly (readonly [string, JsonRecord])[]): Promise<boolean> {
    const now = Date.now();
    const changes = writes.map(([collection, document]) => ({ collection, document, madeAt: now }));
    for (const change of changes) this.course.note(`posts ${keyOf(change)} made at ${now}`, aboutOne(change));
    try {
      const status = await this.#http.post(changes.map((change) => messageOf(change, 'both', now)));
      this.course.note(`got the answer ${status}`, aboutAll(this.#http.store));
      return true;
    } catch (error) {
      this.course.note(`failed: ${error}`);
      if (error instanceof HttpRefusal) this.refusals.push(error.status);
      return false;
    }
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
