/** What changes the users that this node owns: in order, and written in batches of all users. */
import type { UserId } from '../../../shared/names.js';
import { notSaved, SyncError } from '../../errors.js';
import { type DiskPatience, DiskWatch } from '../disk-watch.js';
import { StoreCore } from '../store-core.js';
import { eraseNow, wipeAllOf } from './erasure.js';
import { moved } from './moved.js';
import type { Owned } from './owned.js';
import { type Held, type Plan, type PostgresJob, sizeOf, withKey } from './plan.js';
import type { Session } from './session.js';
import { Writing } from './writing.js';

/** From the start of a batch to the next, in ms, while there is something to write. */
const BATCH_INTERVAL = 8;

export interface ChangesOptions {
  /** How long PostgreSQL may take. */
  readonly patience: DiskPatience;
  /** A batch failed: makes the store work again, by `core.recovered` in the end. */
  readonly reopen: () => void;
  /** For tests: runs before each batch; a throw is a failed write. */
  readonly beforeWrite?: () => void | Promise<void>;
}

export class Changes {
  readonly core: StoreCore<PostgresJob>;
  readonly #session: Session;
  readonly #owned: Owned;
  readonly #watch: DiskWatch;
  readonly #beforeWrite: ChangesOptions['beforeWrite'];

  constructor(session: Session, owned: Owned, { patience, reopen, beforeWrite }: ChangesOptions) {
    this.#session = session;
    this.#owned = owned;
    this.#beforeWrite = beforeWrite;
    const writing = new Writing(session, owned);
    this.core = new StoreCore<PostgresJob>({
      write: async (jobs) => {
        await beforeWrite?.();
        await writing.write(jobs);
      },
      drop: (jobs, cause) => {
        for (const { user, held, plan } of jobs)
          if (plan !== null) owned.lose(user, held, new SyncError('NOT_SAVED', undefined, { cause }));
      },
      reopen,
      interval: BATCH_INTERVAL,
    });
    this.#watch = new DiskWatch({
      ...patience,
      onChange: (isSlow) => {
        if (this.core.takesWork) this.core.setState(isSlow ? 'slow' : 'ready');
      },
    });
  }

  /** Of a user who is loaded. */
  make(user: UserId, plan: (held: Held) => Plan): Promise<void> {
    if (this.core.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    try {
      const held = this.core.takesWork ? this.#owned.get(user) : undefined;
      if (!held?.isLoaded) throw new Error('the document has to be loaded first');
      return this.#add(user, held, plan(held));
    } catch (cause) {
      this.#owned.forget(user);
      return Promise.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    }
  }

  /** Of a user who need not be loaded. */
  makeUnloaded(user: UserId, plan: (held: Held) => Plan): Promise<void> {
    if (this.core.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    if (!this.core.takesWork) return Promise.reject(new SyncError('NOT_SAVED'));
    const known = this.#owned.get(user);
    if (known !== undefined) return this.#add(user, known, plan(known));
    const saved = this.#owned
      .owned(user)
      .then((held) => this.#add(user, held, plan(held)))
      .catch((cause) => Promise.reject(notSaved(cause)));
    this.core.pending.add(user, saved);
    // Claimed for this alone: nobody here may have to do with the user any more.
    void saved.then(() => (this.#owned.isInUse(user) ? undefined : this.letGo(user))).catch(() => {});
    return saved;
  }

  /** One that changes nothing: it is refused where another node has the user. */
  async confirm(user: UserId): Promise<void> {
    this.core.mustWork();
    const held = this.#owned.get(user) ?? (await this.#owned.owned(user));
    held.isIdle = false;
    try {
      await this.core.add({ user, held, was: held.row, plan: null, size: 0 });
    } catch (error) {
      const cause = error instanceof SyncError ? error.cause : error;
      throw new SyncError('STORE_UNAVAILABLE', undefined, { cause });
    }
  }

  erase(user: UserId, tombstone: Uint8Array): Promise<void> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const copy = new Uint8Array(tombstone);
    const before = this.core.pending.settled(user);
    const held = this.#owned.get(user);
    this.#owned.drop(user);
    const erased = this.#owned
      .inTurn(user, () => before.then(() => this.#erase(user, copy, held)))
      .catch((cause) => Promise.reject(notSaved(cause)));
    this.core.pending.add(user, erased);
    return erased;
  }

  /** When all of the user that was handed over is written. */
  async letGo(user: UserId): Promise<void> {
    await this.core.settled(user);
    await this.#owned.release(user);
  }

  /** Where PostgreSQL does not answer in time, everything is given up. */
  follow(answered: Promise<unknown>): void {
    this.#watch.follow(answered, () => this.core.giveUp(new Error('PostgreSQL does not answer')));
  }

  /** @param held as the user was when the tombstone was made; left out where nothing could be loaded */
  async #erase(user: UserId, tombstone: Uint8Array, held?: Held): Promise<void> {
    this.#owned.drop(user); // of a load that was under way
    await this.#beforeWrite?.();
    const claim = await this.#owned.claim(user);
    // Another server has had the user since: the tombstone may lack who wrote there, and could bring that back.
    // Of a user of whom nothing was stored that one leaves nothing, and the claims of another document begin anew.
    if (held !== undefined && (claim.doc !== held.doc || claim.claim !== held.claim + 1)) throw moved();
    const { connection, node } = this.#session;
    const anew = await eraseNow(connection, { user, node: node.id, tombstone }, claim);
    await this.#owned.disown(anew).catch(() => {}); // else the user stays this node's
    await wipeAllOf(connection, user);
  }

  #add(user: UserId, held: Held, planned: Plan): Promise<void> {
    const plan = withKey(held, planned);
    const was = held.row;
    held.row = plan.row;
    const done = this.core.addChange({ user, held, was, plan, size: sizeOf(plan) });
    this.follow(done);
    return done;
  }
}
