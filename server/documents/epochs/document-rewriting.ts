/** When a document has to be written anew, and how: nobody uses it meanwhile, and it is the old or the new one, whole. */
import * as Y from 'yjs';
import type { UserId } from '../../../shared/names.js';
import type { StoredSize } from '../compaction/stored-size.js';
import type { DocumentOptions } from '../document-options.js';
import type { Gate } from '../gate.js';
import type { HistoryWindow } from '../history/history-window.js';
import { countLiving, countStructs } from '../intake/living-size.js';
import type { ReplicaHolder } from '../replica-holder.js';
import type { DocumentRest } from '../sleep/document-rest.js';
import { NO_MEMORY } from '../union/union-state.js';
import { Epoch, markOf, retiredIn } from './epoch.js';
import { type Anew, NotRewritable, writtenAnew } from './rewrite.js';

/** Client ids that a document may have: each costs every edit of every device. */
export const MANY_CLIENTS = 500;
/** Structs of what was overwritten or deleted that it may have: this, and half as many as are alive. */
export const MANY_DEAD = 10_000;
const DEAD_SHARE = 0.5;
/**
 * Client ids of all documents before and of this one, beyond which it is not written anew: each load reads them all.
 * Five phones that write under three new ones a day take 90 years to get there. What goes on under new ones is refused
 * once the document itself has too many.
 */
export const MAX_RETIRED = 500_000;
/** With more ids of documents before, these and its own are put together in steps. */
const MANY_BEFORE = 20_000;
/** Up to this size, in bytes, it is done at once; a larger one in a worker. */
const SMALL = 64 * 1_024;

export interface RewriteSizes {
  readonly clients: number;
  readonly structsBefore: number;
  readonly structsAfter: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface RewritingParts {
  readonly user: UserId;
  readonly rest: Pick<DocumentRest, 'isCalm'>;
  readonly gate: Gate;
  readonly history: HistoryWindow;
  readonly replicas: ReplicaHolder;
  readonly size: StoredSize;
}

export class DocumentRewriting {
  readonly #parts: RewritingParts;
  readonly #options: DocumentOptions;
  /** It could not be written anew as it was then. */
  #failedAt: number | null = null;

  constructor(parts: RewritingParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Whether its past has outgrown its content. Looks through the document where that may be. */
  get isDue(): boolean {
    const { replicas, size } = this.#parts;
    const { doc, epoch } = replicas.current;
    if (this.#failedAt === size.added) return false;
    if ((epoch?.size ?? 0) + doc.store.clients.size > MAX_RETIRED) return false;
    if (doc.store.clients.size > (this.#options.manyClients ?? MANY_CLIENTS)) return true;
    const structs = countStructs(doc);
    if (structs <= MANY_DEAD) return false;
    const living = countLiving(doc);
    return structs - living > MANY_DEAD + living * DEAD_SHARE;
  }

  /** Nothing is under way, and nobody would have to wait for a worker that others have. */
  get isPossible(): boolean {
    return this.#parts.rest.isCalm && (this.#options.rewritingWorkers?.isFree ?? true);
  }

  /**
   * Writes the same content into a new document, under one client id, and goes on with that (P10). What comes in
   * waits. Resolves with `null` where it can't be done; where it is not saved, the document has failed.
   *
   * @param client a random Yjs client id
   * @param done called when it is durable, before anything that waits
   * @param isFree asked last, before it is stored: a device may have come meanwhile that could only begin anew
   */
  async run(client: number, done: () => void, isFree = () => true): Promise<RewriteSizes | null> {
    let sizes: RewriteSizes | null = null;
    // A compaction that is under way would put what it has read in the place of the new document.
    if (!this.isPossible) return null;
    await this.#parts.gate.exclusive(async () => {
      const anew = await this.#make(client);
      if (anew === null) return;
      const epoch = await this.#epoch();
      if (!isFree()) return;
      const before = this.#before();
      await this.#store(anew, epoch.encode());
      sizes = {
        ...before,
        structsAfter: countStructs(this.#parts.replicas.current.doc),
        bytesAfter: anew.update.length,
      };
      done();
    });
    return sizes;
  }

  /** A large one is made in a worker. */
  async #make(client: number): Promise<Anew | null> {
    const { replicas, size } = this.#parts;
    const { rewritingWorkers: workers } = this.#options;
    const { epoch, doc } = replicas.current;
    if (epoch?.retires(client)) return null;
    try {
      if (workers === undefined || size.bytes <= SMALL) return writtenAnew(doc, client);
      const made = await workers.run(async () => ({ ...(await replicas.load()), client }));
      if (made !== null) return made;
    } catch (error) {
      if (!(error instanceof NotRewritable)) throw error;
    }
    this.#failedAt = size.added;
    return null;
  }

  #before(): Pick<RewriteSizes, 'clients' | 'structsBefore' | 'bytesBefore'> {
    const { replicas, size } = this.#parts;
    const { doc } = replicas.current;
    return { clients: doc.store.clients.size, structsBefore: countStructs(doc), bytesBefore: size.bytes };
  }

  #epoch(): Epoch | Promise<Epoch> {
    const { user, replicas, history } = this.#parts;
    const { slices } = this.#options;
    const { epoch: old, doc } = replicas.current;
    const { revision } = history;
    const former = { revision, mark: markOf(Y.encodeStateVector(doc)) };
    const retired = retiredIn(doc);
    return slices === undefined || (old?.size ?? 0) <= MANY_BEFORE
      ? Epoch.after(old, retired, former)
      : slices.run(user, Epoch.inSteps(old, retired, former));
  }

  async #store({ update, stateVector }: Anew, epoch: Uint8Array): Promise<void> {
    const { user, replicas, history, size } = this.#parts;
    const snapshot = { update, stateVector, revision: history.revision, memory: NO_MEMORY, epoch };
    await this.#options.store.compact(user, snapshot);
    size.replaceBy(update);
    await replicas.loadAnew();
  }
}
