/**
 * A user's Yjs document in memory: applies what comes in, unites what was created apart, and says exactly what
 * that changed. Knows no store and no sockets.
 */
import * as Y from 'yjs';
import { knowsName } from '../../shared/known-names.js';
import { SyncError } from '../errors.js';
import { malformed } from '../protocol/bytes.js';
import { type Dependency, firstMissing } from '../protocol/missing.js';
import { scanUpdate, type UpdateScan } from '../protocol/scan.js';
import { VALUE_DEPTH_CEILING } from '../protocol/values.js';
import type { Snapshot, StoredDocument } from '../store/store.js';
import type { Written } from './changes.js';
import { Epoch } from './epochs/epoch.js';
import { type Admission, type Admitted, plainly } from './intake/admission.js';
import { checkBreadth } from './intake/breadth.js';
import { CheckScratch, UpdateCheck } from './intake/check.js';
import { UpdateCost } from './intake/cost.js';
import { bringsNews } from './intake/news.js';
import type { PartSize } from './intake/parts.js';
import { integratePlainEdit, type PlainEdit, readPlainEdit, writtenBy } from './intake/plain-edit.js';
import { type PlainWrite, writePlain } from './intake/plain-write.js';
import { Contests } from './later-wins/contests.js';
import { type KeptTimes, timesOf } from './later-wins/kept-times.js';
import { type LastChangeOf, NOT_KNOWN } from './later-wins/later-wins.js';
import { lostImages } from './later-wins/lost-images.js';
import type { MadeAt } from './later-wins/made-at.js';
import { applyInSteps } from './loading/apply-in-steps.js';
import { OpenTransaction } from './open-transaction.js';
import { QuietDoc } from './quiet-doc.js';
import { type ImageChange, RecordImages } from './records/record-images.js';
import { TouchedRecords } from './records/touched-records.js';
import { Tombstone } from './tombstone.js';
import { Conflicts } from './union/conflicts.js';
import { Step } from './union/step.js';
import { decodeMemory } from './union/union-state.js';

/** Yjs client ids that this server writes with, fresh for each start and reopen (P6). */
export interface ServerClientIds {
  readonly writes: number;
  readonly unions: number;
}

export interface ReplicaOptions {
  readonly ids: (epoch: Epoch | null, erased?: Tombstone | null) => ServerClientIds;
  readonly now: () => number;
  /** Where the clock may be wrong. */
  readonly times?: KeptTimes;
  readonly maxDepth: number;
  /** Structs in one update. */
  readonly maxStructs?: number;
  /** Deletions in one update, not counting what is deleted already. */
  readonly maxDeleteRanges?: number;
  /** What all replicas of a server check updates with; without it, each has its own. */
  readonly scratch?: CheckScratch;
  /** How long what lost against a concurrent creation is kept for late edits, in ms. */
  readonly keepFor: number;
}

const LIMITLESS = Number.POSITIVE_INFINITY;

/** What a replica is made of. */
export type ReplicaSource = Pick<StoredDocument, 'updates' | 'memory'> &
  Partial<Pick<StoredDocument, 'tombstone' | 'epoch'>>;

/** What is known of an update beside its bytes. */
export interface UpdateContext {
  /** The state vector of its author before it, where it is known. */
  readonly saw: ReadonlyMap<number, number> | null;
  /** When its author made it. */
  readonly madeAt?: MadeAt;
  /** What the update is a part of. */
  readonly whole?: Uint8Array;
}

/** Yjs refused a write of the union; the replica that it happened in can't be trusted any more. */
export class UnionFailed extends Error {}

export class Replica {
  readonly doc = new QuietDoc();
  /** The records as they were after the last change that was taken. */
  readonly images = new RecordImages(this.doc);
  readonly #options: ReplicaOptions;
  readonly #conflicts: Conflicts;
  /** What is left of what was erased before. */
  readonly erased: Tombstone | null;
  /** What is left of the documents that this one took the place of. */
  readonly epoch: Epoch | null;
  #scratch: CheckScratch | undefined;
  #roots = 0;
  #updates: Uint8Array[] = [];
  #touched = new TouchedRecords();
  #lost: ImageChange[] = [];
  #onTransaction: ((transaction: Y.Transaction) => void) | null = null;

  /**
   * Applies the stored updates one by one: what Yjs collects depends on where one ends and the next begins.
   *
   * @param lastChangeOf what the history tells
   * @param isWhole where not, the updates are yet to be applied
   */
  constructor(
    stored: ReplicaSource,
    options: ReplicaOptions,
    lastChangeOf: LastChangeOf = NOT_KNOWN,
    isWhole = true,
  ) {
    this.#options = options;
    const { past } = options.times ?? timesOf(options.now);
    this.erased = stored.tombstone ? Tombstone.decode(stored.tombstone, past) : null;
    this.epoch = stored.epoch ? Epoch.decode(stored.epoch) : null;
    this.#conflicts = new Conflicts(this.doc, decodeMemory(stored.memory), options.now, lastChangeOf);
    if (!isWhole) return;
    for (const update of stored.updates) Y.applyUpdate(this.doc, update);
    this.#begin();
  }

  /** The same in short steps, of a large document; its records are read as well, which else the first change does. */
  static *inSteps(
    stored: ReplicaSource,
    options: ReplicaOptions,
    lastChangeOf: LastChangeOf = NOT_KNOWN,
    size?: PartSize,
  ): Generator<void, Replica> {
    const replica = new Replica(stored, options, lastChangeOf, false);
    yield* applyInSteps(replica.doc, stored.updates, size);
    replica.#begin();
    yield;
    yield* replica.images.readInSteps();
    return replica;
  }

  /** The stored updates are applied. */
  #begin(): void {
    const { now, times, keepFor } = this.#options;
    const { retention } = times ?? timesOf(now);
    this.#defineRoots();
    this.#conflicts.prune(retention() - keepFor);
    this.doc.on('afterTransaction', (transaction: Y.Transaction) => {
      this.#touched.note(transaction.changed);
      this.#defineRoots();
      this.#onTransaction?.(transaction);
    });
  }

  /**
   * Looks at an update before it is applied: whether it brings anything, what it builds on that is missing, and
   * how it is to be applied.
   *
   * @throws SyncError `MALFORMED_UPDATE`, `UPDATE_TOO_COSTLY`, `ERASED`, `REWRITTEN`
   */
  check(update: Uint8Array): Admission {
    const plain = this.#plainEdit(update);
    if (plain !== null) return plainly(update, plain);
    this.#scratch ??= this.#options.scratch ?? new CheckScratch();
    const { table } = this.#scratch;
    const cost = new UpdateCost(this.doc, table, this.#options);
    const contests = new Contests(this.doc, table, cost);
    const scan = scanUpdate(update, this.#options, contests);
    if (scan.empty) return { kind: 'empty' };
    this.erased?.checkUpdate(scan);
    this.epoch?.checkUpdate(scan, this.#hasClient);
    this.#refuseOwnIds(scan);
    for (const [name, problem] of scan.oddNames) if (!knowsName(this.doc, name)) malformed(problem);
    const dependency = firstMissing(scan, (client) => this.#state(client));
    if (dependency !== null) return { kind: 'missing', dependency };
    checkBreadth(this.doc, scan, this.erased?.size ?? 0);
    const maxDepth = Math.min(this.#options.maxDepth, VALUE_DEPTH_CEILING);
    new UpdateCheck(this.doc, this.#scratch, update, maxDepth).run((row) => contests.add(update, row));
    const overlaps = scan.ranges.some(({ client, from }) => from < this.#state(client));
    const isContested = contests.found;
    // Of one client, whose next clocks they are: the order of several, and gaps, are for Yjs to write.
    const isAllNew = scan.ranges.length === 1 && scan.structs === table.length && !overlaps && !isContested;
    return { kind: cost.judge(update.length, scan), update, overlaps, isContested, isAllNew, plain: null };
  }

  get #ids(): ServerClientIds {
    return this.#options.ids(this.epoch, this.erased);
  }

  #plainEdit(update: Uint8Array): PlainEdit | null {
    const { maxStructs = LIMITLESS, maxDeleteRanges = LIMITLESS } = this.#options;
    // All that an epoch could refuse is of clients that the document does not have.
    if (this.erased !== null) return null;
    const edit = readPlainEdit(this.doc, update, Math.min(maxStructs, maxDeleteRanges));
    if (edit === null) return null;
    const { writes, unions } = this.#ids;
    return edit.client === writes || edit.client === unions ? null : edit;
  }

  /**
   * Whether applying the update would change anything, now or once what it builds on is there (N7). An update that
   * answers a state vector carries all deletions of its author, which is nothing new.
   *
   * @throws SyncError as `check` does
   */
  wouldChange(update: Uint8Array): boolean {
    const { kind } = this.check(update);
    return kind !== 'empty' && (kind === 'missing' || bringsNews(this.doc, update));
  }

  /** Whether the document has this clock of this client. */
  has({ client, clock }: Dependency): boolean {
    return this.#state(client) > clock;
  }

  /**
   * Refuses a device that has something of what was erased, or of a document before this one.
   *
   * @throws SyncError `ERASED`, `REWRITTEN`
   */
  checkStateVector(stateVector: ReadonlyMap<number, number>): void {
    this.erased?.checkStateVector(stateVector);
    this.epoch?.checkStateVector(stateVector, this.#hasClient);
  }

  readonly #hasClient = (client: number): boolean => this.doc.store.clients.has(client);

  #state(client: number): number {
    return Y.getState(this.doc.store, client);
  }

  /** What the server writes under its own ids no client can know before the server has it: it would be forged. */
  #refuseOwnIds({ ranges }: UpdateScan): void {
    const { writes, unions } = this.#ids;
    const forged = ranges.some(
      ({ client, to }) => (client === writes || client === unions) && to > this.#state(client),
    );
    if (forged) throw new SyncError('MALFORMED_UPDATE', 'The update writes under a client id of the server.');
  }

  /**
   * Applies an update that this replica has checked. Throws when Yjs can't take it: then this replica is no longer
   * to be trusted and has to be thrown away (S1).
   */
  apply(admitted: Admitted, { saw, madeAt = null, whole = admitted.update }: UpdateContext): Written {
    const { plain, update } = admitted;
    const meetsNothing = plain !== null && this.#conflicts.isQuiet;
    if (meetsNothing && this.doc.isUnfollowed) {
      this.images.complete();
      integratePlainEdit(this.doc, plain);
      this.#touched.note(writtenBy(plain));
      return this.#take(update, this.#updates);
    }
    const asItCame = { update: whole, saw, inParts: whole !== update };
    let union = () => {};
    const incoming = this.#integrate(admitted, (transaction) => {
      if (meetsNothing) return;
      union = this.#planUnion(new Step(this.doc, transaction, asItCame), madeAt);
    });
    union();
    return this.#take(incoming, this.#updates);
  }

  /** The same as plain Yjs does it: nothing is united, and no times are compared. */
  applyPlain(admitted: Admitted): Written {
    return this.#take(
      this.#integrate(admitted, () => {}),
      this.#updates,
    );
  }

  /** Returns what is new of the update; a deletion that is not new has no update of its own. */
  #integrate({ update, overlaps, isAllNew }: Admitted, inTransaction: (transaction: Y.Transaction) => void) {
    this.images.complete();
    this.#onTransaction = (transaction) => {
      this.#onTransaction = null;
      inTransaction(transaction);
    };
    if (isAllNew) Y.applyUpdate(this.doc, update);
    else {
      const part = overlaps ? UpdateCheck.newPartOf(this.doc, update) : update;
      this.#encoded(() => Y.applyUpdate(this.doc, part));
    }
    this.#onTransaction = null;
    const [incoming = isAllNew ? update : null] = this.#updates.splice(0);
    if (this.doc.store.pendingStructs !== null || this.doc.store.pendingDs !== null) {
      throw new SyncError('MALFORMED_UPDATE', 'The update refers to itself in a circle.');
    }
    return incoming;
  }

  /** What is to be written once the transaction has ended; throws `UnionFailed` where that can't be done. */
  #planUnion(step: Step, madeAt: MadeAt): () => void {
    const fail = (cause: unknown): never => {
      throw new UnionFailed('The union of what was created apart failed.', { cause });
    };
    try {
      const { lost, write } = this.#conflicts.resolve(step, madeAt);
      this.#lost = lostImages(lost, (key) => this.images.get(key));
      return () => {
        try {
          this.#encoded(() => write(this.#ids.unions));
        } catch (cause) {
          fail(cause);
        }
      };
    } catch (cause) {
      return () => fail(cause);
    }
  }

  /** Writes on behalf of a device that speaks JSON, which sees all; `plain` is what `change` does, where it is plain. */
  write(change: (doc: Y.Doc) => void, plain: PlainWrite | null = null): Written {
    this.images.complete();
    const { writes } = this.#ids;
    const isQuiet = this.erased === null && this.#conflicts.isQuiet && this.doc.isUnfollowed;
    if (plain !== null && isQuiet) {
      const update = writePlain(this.doc, writes, plain);
      this.#touched.note(writtenBy(plain));
      return this.#take(null, [update]);
    }
    this.doc.clientID = writes;
    this.#encodedWrite(() => this.doc.transact(() => change(this.doc)));
    return this.#take(null, this.#updates);
  }

  /** The same in steps; until the last one, nothing else may enter the document. */
  *writeInSteps(change: (doc: Y.Doc) => Generator<void>): Generator<void, Written> {
    this.images.complete();
    this.doc.clientID = this.#ids.writes;
    const transaction = new OpenTransaction(this.doc, true);
    const steps = change(this.doc);
    while (transaction.within(() => steps.next()).done !== true) yield;
    this.#encodedWrite(() => transaction.end());
    yield;
    return yield* this.#takeInSteps(null, this.#updates);
  }

  /** What the union remembers of the document is told what was written. */
  #encodedWrite(write: () => void): void {
    const { unifier } = this.#conflicts;
    this.#onTransaction = (transaction) => {
      this.#onTransaction = null;
      unifier.note(transaction);
    };
    this.#encoded(write);
    for (const { collection, id } of this.#touched.all) {
      if (!this.doc.getMap(collection).has(id)) unifier.releaseUnder(this.doc.getMap(collection), id);
    }
    unifier.forgetRemovedElements();
  }

  /** Notes what `work` writes as updates: Yjs encodes it only where somebody listens. */
  #encoded(work: () => void): void {
    this.doc.on('update', this.#note);
    try {
      work();
    } finally {
      this.doc.off('update', this.#note);
    }
  }

  readonly #note = (update: Uint8Array): void => void this.#updates.push(update);

  /** The whole document as one update. */
  snapshot(): Omit<Snapshot, 'revision'> {
    const update = Y.encodeStateAsUpdate(this.doc);
    return { update, stateVector: Y.encodeStateVector(this.doc), memory: this.memory() };
  }

  memory = (): Uint8Array => this.#conflicts.memory();

  #take(incoming: Uint8Array | null, made: Uint8Array[]): Written {
    return this.#taken(incoming, made, this.images.refresh(this.#touched.all));
  }

  *#takeInSteps(incoming: Uint8Array | null, made: Uint8Array[]): Generator<void, Written> {
    const records: ImageChange[] = [];
    for (const touched of this.#touched.all) {
      records.push(...this.images.refresh([touched]));
      yield;
    }
    return this.#taken(incoming, made, records);
  }

  #taken(incoming: Uint8Array | null, made: Uint8Array[], records: ImageChange[]): Written {
    const lost = this.#lost;
    this.#updates = [];
    this.#touched = new TouchedRecords();
    this.#lost = [];
    return {
      update: made.length === 0 ? incoming : joined(incoming === null ? made : [incoming, ...made]),
      incoming,
      made: joined(made),
      records,
      lost,
      memory: this.#conflicts.takeChanged() ? this.memory() : undefined,
    };
  }

  /** Yjs learns the kind of a root type only when it is asked for. */
  #defineRoots(): void {
    if (this.doc.share.size === this.#roots) return;
    for (const name of [...this.doc.share.keys()]) this.doc.getMap(name);
    this.#roots = this.doc.share.size;
  }
}

const joined = (updates: Uint8Array[]): Uint8Array | null =>
  updates.length > 1 ? Y.mergeUpdates(updates) : (updates[0] ?? null);
