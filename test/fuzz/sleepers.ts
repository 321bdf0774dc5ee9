/** What must hold of every message that reaches a document while it sleeps, whether it was written anew or not. */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { Epoch, retiredIn } from '../../server/documents/epochs/epoch.js';
import { writtenAnew } from '../../server/documents/epochs/rewrite.js';
import { DocumentRegistry } from '../../server/documents/registry.js';
import type { SyncError } from '../../server/errors.js';
import { messages } from '../../server/protocol/yjs.js';
import { EMPTY } from '../../server/store/memory/memory-document.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { UserId } from '../../shared/names.js';
import { answerTo, NativeLine } from '../support/devices/native-line.js';
import { jsonOfDoc } from '../support/replicas.js';
import { must, type Outcome, outcomeOf } from './invariants.js';

const REST_AFTER = 1_000;
/** The Yjs client of a document that was written anew. */
export const ANEW = 77;

/** What is stored of a user. */
export interface Stored {
  readonly updates: readonly Uint8Array[];
  readonly epoch: Uint8Array | null;
}

/** The same content as the server writes it anew; `null` where it can't. */
export function anew(base: readonly Uint8Array[]): Stored | null {
  const doc = docOf(base);
  try {
    const { update } = writtenAnew(doc, ANEW);
    const epoch = Epoch.after(null, retiredIn(doc), { revision: 0, mark: 0 });
    return { updates: [update], epoch: epoch.encode() };
  } catch {
    return null;
  }
}

function docOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
}

/** Users that are asleep whenever something comes in. */
export class Sleepers {
  readonly #store = new MemoryStore();
  readonly #registry: DocumentRegistry;
  #uptime = 0;
  #users = 0;
  #failures: unknown[] = [];

  constructor() {
    const failed = (error: unknown): void => void this.#failures.push(error);
    let id = 4_000_000_001;
    this.#registry = new DocumentRegistry({
      store: this.#store,
      idleTimeout: 30_000,
      restAfter: REST_AFTER,
      uptime: () => this.#uptime,
      maxDepth: 64,
      maxStructs: 500_000,
      maxDeleteRanges: 100_000,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      keepFor: 86_400_000,
      historyDays: 90,
      now: () => 1_000,
      randomId: () => id++,
      onHistoryDamaged: failed,
      onFailed: (_, error) => failed(error),
      onRebuilt: (_, cause) => failed(cause),
      onCompacted: () => {},
      onUnexpected: failed,
    });
  }

  /** Sends an update to one that sleeps; throws where something does not hold. */
  async outcomeOf(stored: Stored, update: Uint8Array, isAnswer: boolean): Promise<Outcome> {
    const awake = outcomeOf(stored.updates, update, stored.epoch);
    const user = await this.#asleep(stored);
    const before = this.#contentOf(user);
    const line = await this.#connect(user);
    line.say(isAnswer ? messages.syncStep2(update) : messages.update(update));
    await settle();
    must((line.closed !== null) === (awake === 'refused'), `it is ${awake} asleep as awake: ${line.closed}`);
    if (awake !== 'applied') must(equalityDeep(this.#contentOf(user), before), 'nothing changed');
    line.leave();
    await this.#checkAtRest(user);
    this.#mustNotFail();
    return awake;
  }

  /** A device connects that has this, or nothing; one that has anything of an old document begins anew. */
  async greets(stored: Stored, state: Uint8Array | undefined): Promise<'refused' | 'answered'> {
    const doc = docOf(state === undefined ? [] : [state]);
    const user = await this.#asleep(stored);
    const before = this.#contentOf(user);
    const line = await this.#connect(user);
    const stateVector = Y.encodeStateVector(doc);
    line.say(messages.syncStep1(stateVector));
    await settle();
    const epoch = stored.epoch && Epoch.decode(stored.epoch);
    const isOld = [...doc.store.clients.keys()].some((client) => epoch?.retires(client));
    must(
      line.closed === (isOld ? 'REWRITTEN' : null),
      `it is ${isOld ? 'sent away' : 'answered'}: ${line.closed}`,
    );
    if (!isOld) {
      for (const frame of line.take()) answerTo(frame, doc, line);
      const isWhole = doc.store.pendingStructs === null && doc.store.pendingDs === null;
      must(isWhole, 'what it lacks is in the answer');
      for (const [client, clock] of Y.decodeStateVector(Y.encodeStateVector(docOf(this.#updatesOf(user)))))
        must(Y.getState(doc.store, client) >= clock, 'it has everything');
    }
    must(equalityDeep(this.#contentOf(user), before), 'nothing changed');
    line.leave();
    await this.#checkAtRest(user);
    this.#mustNotFail();
    return isOld ? 'refused' : 'answered';
  }

  close(): void {
    this.#registry.close();
  }

  async #asleep({ updates, epoch }: Stored): Promise<UserId> {
    const user = `user-${++this.#users}` as UserId;
    this.#store.contents.clear();
    this.#store.contents.set(user, { ...EMPTY, updates, revision: 1, historyFrom: 1, epoch });
    const following = await this.#registry.follow(user);
    await this.#sleep();
    must(!following.document.isAwake, 'it sleeps');
    following.release();
    return user;
  }

  /** Several looks, as something may have to be written before. */
  async #sleep(): Promise<void> {
    for (let look = 0; look < 3; look++) {
      this.#uptime += REST_AFTER;
      this.#registry.sleep();
      await settle();
    }
  }

  async #connect(user: UserId): Promise<Line> {
    const following = await this.#registry.follow(user);
    const line = new Line(following.document, () => following.release());
    await settle();
    return line;
  }

  /** What is noted of it is what is stored, and a new device gets all of it. */
  async #checkAtRest(user: UserId): Promise<void> {
    const following = await this.#registry.follow(user);
    await this.#sleep();
    const stored = docOf(this.#updatesOf(user));
    const { noted } = following.document;
    must(noted !== null, 'it sleeps again');
    must(isSame(noted?.stateVector, Y.encodeStateVector(stored)), 'the state vector is noted');
    following.release();
    const fresh = new Y.Doc();
    const line = await this.#connect(user);
    line.say(messages.syncStep1(Uint8Array.of(0)));
    await settle();
    for (const frame of line.take()) answerTo(frame, fresh, line);
    must(equalityDeep(jsonOfDoc(fresh), jsonOfDoc(stored)), 'a new device gets all of it');
    line.leave();
  }

  #updatesOf(user: UserId): readonly Uint8Array[] {
    return this.#store.contents.get(user)?.updates ?? [];
  }

  #contentOf(user: UserId): unknown {
    return jsonOfDoc(docOf(this.#updatesOf(user)));
  }

  #mustNotFail(): void {
    const failures = this.#failures;
    this.#failures = [];
    if (failures.length > 0) throw failures[0];
  }
}

class Line {
  closed: string | null = null;
  readonly #line: NativeLine;
  readonly #release: () => void;

  constructor(document: ConstructorParameters<typeof NativeLine>[0]['document'], release: () => void) {
    this.#release = release;
    this.#line = new NativeLine({
      document,
      device: 'phone',
      now: () => 1_000,
      closed: ({ code }: SyncError) => {
        this.closed = code;
      },
    });
  }

  say(message: Uint8Array): void {
    this.#line.say(message);
  }

  take(): Uint8Array[] {
    return this.#line.frames.splice(0);
  }

  leave(): void {
    this.#line.leave();
    this.#release();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

const isSame = (one: Uint8Array | undefined, two: Uint8Array): boolean =>
  one !== undefined && equalityDeep(Y.decodeStateVector(one), Y.decodeStateVector(two));
