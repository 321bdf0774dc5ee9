/** A document that comes to rest: what has to be done before, and what is noted of it so that it need not be loaded. */
import * as Y from 'yjs';
import type { UserId } from '../../../shared/names.js';
import { type RestRow, type Store, takesWork } from '../../store/store.js';
import type { Committer } from '../committer.js';
import type { DocumentCompaction } from '../compaction/document-compaction.js';
import type { StoredSize } from '../compaction/stored-size.js';
import type { Gate } from '../gate.js';
import type { HistoryWindow } from '../history/history-window.js';
import { RecordsView } from '../records/records-view.js';
import type { ReplicaHolder } from '../replica-holder.js';

/** As measured: 30 KB without content, 290 KB with 13 KB of it, 107 MB with 3.9 MB. */
const BASE = 30 * 1_024;
const PER_STORED_BYTE = 25;
/** Length of an update without structs and deletions. */
const NOTHING = 2;
/** The most that is noted of the records of a document, in bytes. */
const MAX_VIEW = 2 ** 20;

export interface RestParts {
  readonly user: UserId;
  readonly committer: Committer;
  readonly compaction: DocumentCompaction;
  readonly gate: Gate;
  readonly history: HistoryWindow;
  readonly replicas: ReplicaHolder;
  readonly size: StoredSize;
}

export class DocumentRest {
  /** What is noted of the document as it is stored, or as it was. */
  #noted: RestRow | null;
  readonly #parts: RestParts;
  readonly #store: Store;
  /** Its records were asked for as JSON, or will be. */
  #isReadAsJson = false;
  /** What was noted of its records can't be read. */
  #isViewLost = false;
  /** How often something was asked that can't be told without the document. */
  #asked = 0;

  /** @param noted what was noted of the document as it was loaded */
  constructor(noted: RestRow | null, parts: RestParts, store: Store) {
    this.#noted = noted;
    this.#parts = parts;
    this.#store = store;
  }

  /** About what the document takes in memory, in bytes: it has a fixed part, and many objects for what it stores. */
  get memory(): number {
    return BASE + this.#parts.size.bytes * PER_STORED_BYTE;
  }

  /** What the list of all users tells of it: bytes as they are stored, and when a record was last changed. */
  get summary(): Pick<RestRow, 'bytes' | 'changedAt'> {
    const { size, history } = this.#parts;
    return { bytes: size.bytes, changedAt: history.lastAt ?? this.#noted?.changedAt };
  }

  /** Grows with each change of the document. */
  get changes(): number {
    return this.#parts.size.added;
  }

  /** The same, and each time that something is asked which can't be told without the document. */
  get demand(): number {
    return this.changes + this.#asked;
  }

  /** Somebody asks what can't be told without the document. */
  noteDemand(): void {
    this.#asked++;
  }

  /** Somebody is there who reads its records as JSON: they are noted, too, for the next time, unless they are too large. */
  noteReader(): void {
    this.#isReadAsJson = true;
    if (this.#isLarge) this.noteDemand();
  }

  get #isLarge(): boolean {
    return this.#parts.size.bytes > MAX_VIEW;
  }

  /** What was noted of its records is damaged. */
  loseView(): void {
    this.#isViewLost = true;
  }

  /** Nothing is under way: what the document has is what is stored. */
  get isCalm(): boolean {
    const { gate, committer, compaction } = this.#parts;
    return gate.isInOrder && committer.isIdle && !compaction.isUnderWay;
  }

  /** Writes what is to be stored before it rests; returns whether that is done. */
  prepare(): boolean {
    const { committer, compaction, size } = this.#parts;
    // A compaction that the store refuses would end the connections of who changed nothing (N3).
    if (!this.isCalm || !takesWork(this.#store.state)) return false;
    // What is deleted is looked through only where it matters: that takes long in a large document.
    const isWhole = size.updates === 1 && this.#isWhole(this.#deletions(this.#stateVector()));
    if (!isWhole) compaction.runForRest();
    committer.saveDevices('all');
    return this.isCalm;
  }

  /**
   * Notes the document as it is. `null` where it can't rest: something is under way, the store takes nothing, or its
   * tombstone has to be asked at each message.
   */
  note(): RestRow | null {
    const { replicas, size } = this.#parts;
    if (!this.isCalm || replicas.current.erased !== null || !takesWork(this.#store.state)) return null;
    const known = this.#row();
    const isKept = known.hasView && !this.#isViewLost;
    const view = this.#isReadAsJson && !isKept && size.updates > 0 ? this.#view() : undefined;
    const hasView = isKept || view !== undefined;
    const row = hasView === known.hasView && view === undefined ? known : { ...known, hasView };
    // Where it can't be noted, the next one who comes loads the document.
    if (row !== this.#noted && size.updates > 0) this.#put(row, view);
    return row;
  }

  #put(row: RestRow, view: Uint8Array | undefined): void {
    const { user, size } = this.#parts;
    this.#noted = row;
    size.isTouched = false;
    this.#store.putToRest(user, row, view).catch(() => {
      size.isTouched = true;
    });
  }

  /** Of a large document it would take long to write them; whoever wants them then loads it. */
  #view(): Uint8Array | undefined {
    if (this.#isLarge) return undefined;
    const view = RecordsView.encode(this.#parts.replicas.current.images.collections());
    return view.length > MAX_VIEW ? undefined : view;
  }

  #row(): RestRow {
    const { history, size } = this.#parts;
    if (this.#noted?.revision === history.revision && !size.isTouched) return this.#noted;
    const stateVector = this.#stateVector();
    const deletions = this.#deletions(stateVector);
    return {
      revision: history.revision,
      stateVector,
      deletions,
      isWhole: this.#isWhole(deletions),
      hasView: false,
      ...this.summary,
    };
  }

  #stateVector(): Uint8Array {
    return Y.encodeStateVector(this.#parts.replicas.current.doc);
  }

  #deletions(stateVector: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.#parts.replicas.current.doc, stateVector);
  }

  /** It is stored as one update, which was compacted, or of which nothing was ever deleted. */
  #isWhole(deletions: Uint8Array): boolean {
    const { size } = this.#parts;
    return size.isWhole || (size.updates === 1 && deletions.length === NOTHING);
  }
}
