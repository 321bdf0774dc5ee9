import WebSocket from 'ws';
import { memoryStorage } from '../../client/local-store/memory.js';
import { noConnectivity } from '../../client/platform/connectivity.js';
import type { WebSocketConstructor } from '../../client/platform/platform.js';
import { standardParts } from '../../client/platform/standard.js';
import { SyncManager } from '../../client/sync-manager.js';
import type { JsonRecord } from '../../shared/json.js';
import type { ById } from '../support/clinic.js';
import { byId } from '../support/clinic.js';
import type { Chance } from './chance.js';
import { Course } from './course.js';
import { type Fact, FREE_FOR_ALL, recordKey } from './ledger.js';
import type { Shared } from './writer.js';

/** What is told of a client: that many of the last events of its sockets. */
const TOLD = 12;

const COLLECTIONS = ['appointments', 'consultations', 'prescriptions', FREE_FOR_ALL] as const;

/** A device with our client: it stores what it does, and comes back by itself. */
export class ClientWriter {
  readonly name: string;
  readonly #shared: Shared;
  readonly #chance: Chance;
  readonly #client: SyncManager;
  /** What became of its sockets. */
  readonly #course = new Course();
  /** What it has written, and has not been told to be durable. */
  #waiting: Fact[] = [];
  #number = 0;
  #isAsking = false;
  #isClosed = false;
  readonly #made: string[] = [];

  constructor(name: string, shared: Shared, chance: Chance) {
    this.name = name;
    this.#shared = shared;
    this.#chance = chance;
    this.#client = new SyncManager({
      ...standardParts,
      storage: memoryStorage(),
      WebSocket: this.#noting(),
      connectivity: noConnectivity,
    });
  }

  #noting(): WebSocketConstructor {
    const note = (what: string) => this.#course.note(what);
    class Noted extends WebSocket {
      constructor(url: string, protocols?: string[]) {
        super(url, protocols);
        note('tried');
        this.on('open', () => note('open'));
        this.on('close', (code, reason) => note(`closed ${code} ${reason}`));
      }
    }
    return Noted as unknown as WebSocketConstructor;
  }

  /** The last events of its sockets, by their distance from a moment. */
  courseSince(moment: number): string {
    return this.#course.lastSince(moment, TOLD);
  }

  async connect(): Promise<void> {
    const { url, user } = this.#shared;
    await this.#client.initialize({ serverUrl: url, userId: user, deviceId: this.name });
    await this.#client.whenSynced();
  }

  get isOnline(): boolean {
    return this.#client.status.current.connection === 'online';
  }

  get unconfirmed(): number {
    return this.#client.status.current.pendingChanges + this.#waiting.length;
  }

  /** What the server refused of it, which it never should. */
  get refused(): readonly string[] {
    return this.#client.status.current.refused.map(({ key }) => `${this.name}: ${key}`);
  }

  edit(): void {
    const change = this.#chance.pick<() => Promise<void>>([
      [40, () => this.#settled()],
      [10, () => this.#makeShortLived()],
      [10, () => this.#removeShortLived()],
      [10, () => this.#free()],
    ]);
    change().catch((error: unknown) => {
      if (!this.#isClosed) throw error;
    });
  }

  /** Asks whether all that it has written is durable. */
  confirm(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const facts = [...this.#waiting];
    const told = (): void => {
      this.#waiting = this.#waiting.filter((fact) => !facts.includes(fact));
      for (const fact of facts) this.#shared.ledger.confirm(fact);
    };
    void this.#client
      .forceSync()
      .then(told, () => {}) // without a connection nobody tells
      .finally(() => {
        this.#isAsking = false;
      });
  }

  /** Its records: collection → id → record. */
  async read(): Promise<ById> {
    const found = COLLECTIONS.map(
      async (name) => [name, (await this.#client.getData(name)) as JsonRecord[]] as const,
    );
    return byId(Object.fromEntries(await Promise.all(found)));
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#client.close();
  }

  async #write(fact: Fact | null, change: () => Promise<unknown>): Promise<void> {
    if (fact !== null) this.#shared.ledger.issue(fact);
    await change();
    if (fact !== null) this.#waiting.push(fact);
  }

  #settled(): Promise<void> {
    const id = this.#shared.settled[this.#chance.below(this.#shared.settled.length)] ?? '';
    const value = ++this.#number;
    const fact = { kind: 'value', record: recordKey('appointments', id), field: this.name, value } as const;
    return this.#write(fact, () => this.#client.updateData('appointments', id, { [this.name]: value }));
  }

  #makeShortLived(): Promise<void> {
    const id = `${this.name}-${++this.#number}`;
    const record = recordKey('prescriptions', id);
    const fact = { kind: 'value', record, field: 'made', value: 1 } as const;
    return this.#write(fact, async () => {
      await this.#client.addData('prescriptions', { id, made: 1 });
      this.#made.push(id);
    });
  }

  async #removeShortLived(): Promise<void> {
    const id = this.#made.shift();
    if (id === undefined) return;
    const fact = { kind: 'removal', record: recordKey('prescriptions', id) } as const;
    await this.#write(fact, () => this.#client.deleteData('prescriptions', id));
  }

  #free(): Promise<void> {
    const text = `${this.name} ${++this.#number}`;
    return this.#write(null, () => this.#client.updateData(FREE_FOR_ALL, 'shared', { last: text }));
  }
}
