/**
 * The devices of each user that were there, for the operator: when, with which app, what they were sent, and what they
 * had not sent. Written a moment later, those of many users together: after a start all come at once.
 */
import type { DeviceId, UserId } from '../../shared/names.js';
import type { Store } from '../store/store.js';

/** Changes that are on the device alone, as it said itself. */
export interface Unsent {
  readonly count: number;
  /** When the oldest was made, or after that; `null` where there are none. */
  readonly since: number | null;
  /** When it said so. */
  readonly toldAt: number;
}

/** Times are in ms since 1970. */
export interface SeenDevice {
  readonly device: DeviceId;
  /** The person who had it in hand, where that is known. */
  readonly actor: string | null;
  readonly via: 'yjs' | 'json' | 'http';
  /** The version of its app; `null` for one that does not tell. */
  readonly app: string | null;
  readonly at: number;
  /** Up to which revision it was sent the document; `null` where something still waited for it. */
  readonly revision: number | null;
  /** `null` for one that does not tell. */
  readonly unsent: Unsent | null;
}

type SeenStore = Pick<Store, 'seen' | 'noteSeen'>;

const GATHERING = 5_000;
/** Users whose devices are written before others have their turn. */
const AT_ONCE = 100;
const MOST_DEVICES = 50;

export class SeenDevices {
  readonly #store: SeenStore;
  /** What is not written yet. */
  #due = new Map<UserId, SeenDevice[]>();
  /** What is being written. */
  #writing: ReadonlyMap<UserId, readonly SeenDevice[]> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #flushed: Promise<void> = Promise.resolve();
  /** Users who are being erased. */
  readonly #erasing = new Set<UserId>();

  constructor(store: SeenStore) {
    this.#store = store;
  }

  note(user: UserId, seen: SeenDevice): void {
    if (this.#erasing.has(user)) return;
    this.#due.set(user, merged(this.#due.get(user) ?? [], [seen]));
    this.#timer ??= setTimeout(() => void this.flush(), GATHERING).unref();
  }

  /** Newest first. */
  async of(user: UserId): Promise<readonly SeenDevice[]> {
    return merged(await this.#stored(user), [
      ...(this.#writing.get(user) ?? []),
      ...(this.#due.get(user) ?? []),
    ]);
  }

  /** Nothing of the user is noted while this erasure goes on, so that nothing is written behind it. */
  async without<Result>(user: UserId, erasure: () => Promise<Result>): Promise<Result> {
    this.#erasing.add(user);
    this.#due.delete(user);
    try {
      if (this.#writing.has(user)) await this.#flushed;
      return await erasure();
    } finally {
      this.#erasing.delete(user);
    }
  }

  /** Resolves when what was noted is stored, or can't be: the device comes again, or another one tells. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushed = this.#flushed.then(() => this.#write());
    return this.#flushed;
  }

  async #write(): Promise<void> {
    this.#writing = this.#due;
    this.#due = new Map();
    const all = [...this.#writing];
    for (let next = 0; next < all.length; next += AT_ONCE) {
      await Promise.allSettled(all.slice(next, next + AT_ONCE).map((each) => this.#writeOne(each)));
    }
    this.#writing = new Map();
  }

  async #writeOne([user, seen]: readonly [UserId, readonly SeenDevice[]]): Promise<void> {
    const all = merged(await this.#stored(user), seen);
    await this.#store.noteSeen(user, Buffer.from(JSON.stringify(all)));
  }

  async #stored(user: UserId): Promise<readonly SeenDevice[]> {
    const bytes = await this.#store.seen(user);
    return bytes === null ? [] : (JSON.parse(Buffer.from(bytes).toString()) as readonly SeenDevice[]);
  }
}

/** Of each device what was seen last, and what it said before where it says nothing now; the newest devices first. */
function merged(before: readonly SeenDevice[], seen: readonly SeenDevice[]): SeenDevice[] {
  const all = new Map(before.map((each) => [nameOf(each), each]));
  for (const each of seen) {
    const old = all.get(nameOf(each));
    const { app, revision, unsent } = each;
    all.set(nameOf(each), {
      ...each,
      app: app ?? old?.app ?? null,
      revision: revision ?? old?.revision ?? null,
      unsent: unsent ?? old?.unsent ?? null,
    });
  }
  return [...all.values()].sort((a, b) => b.at - a.at).slice(0, MOST_DEVICES);
}

/** Another person may have given theirs the same id. */
const nameOf = ({ device, actor }: SeenDevice): string => JSON.stringify([device, actor]);
