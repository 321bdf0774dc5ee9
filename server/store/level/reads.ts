import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import { type DiskWatch, HANGS } from '../disk-watch.js';
import type { StoredDocument } from '../store.js';
import { Lanes } from './access.js';

/** Of Node's four threads: where reads hang, tokens still have to be checked and files to be read. */
const READS_AT_ONCE = 2;
/** So many documents may wait to be loaded. */
const MAX_LOADS = 1_000;

interface Load {
  /** Ends when the disk has answered, and what it gave was opened. */
  readonly reading: Promise<StoredDocument>;
  /** The same, or a rejection in time. */
  answer: Promise<StoredDocument>;
}

/** What is being read. Nobody waits for ever, and where nothing is answered nothing piles up (P8). */
export class Reads {
  readonly #watch: DiskWatch;
  readonly #lanes = new Lanes(READS_AT_ONCE);
  readonly #loads = new Map<UserId, Load>();

  constructor(watch: DiskWatch) {
    this.#watch = watch;
  }

  run<T>(read: () => Promise<T>): Promise<T> {
    return this.#lanes.run(read);
  }

  /**
   * One load at a time of each user; who comes meanwhile gets the same answer.
   *
   * @param open what is done with what the disk gave: it may take turns with others, for which no disk is to blame
   */
  load<Raw>(
    user: UserId,
    read: () => Promise<Raw>,
    open: (raw: Raw) => Promise<StoredDocument>,
  ): Promise<StoredDocument> {
    const running = this.#loads.get(user);
    if (running) return running.answer;
    if (this.#loads.size >= MAX_LOADS) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const raw = read();
    const reading = raw.then(open).finally(() => {
      if (this.#loads.get(user) === load) this.#loads.delete(user);
    });
    const load: Load = { reading, answer: reading };
    const arrived = () => {
      load.answer = reading; // who comes from here on waits for that, though others were told that it was late
    };
    raw.then(arrived, arrived);
    load.answer = Promise.all([reading, this.inTime(raw)]).then(([document]) => document);
    this.#loads.set(user, load);
    return load.answer;
  }

  /** The same, or a rejection in time. */
  inTime<T>(reading: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      reading.then(resolve, reject);
      const late = () => reject(new SyncError('STORE_UNAVAILABLE', undefined, { cause: new Error(HANGS) }));
      this.#watch.follow(reading, late);
    });
  }

  /** The load of this user that is under way. */
  of(user: UserId): Promise<StoredDocument> | undefined {
    return this.#loads.get(user)?.reading;
  }

  /** What is under way must not answer who asks from now on. */
  forget(user: UserId): void {
    this.#loads.delete(user);
  }

  forgetAll(): void {
    this.#loads.clear();
  }
}
