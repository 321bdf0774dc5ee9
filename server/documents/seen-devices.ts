/**
 * The devices of each user that were there, for the operator: when, with which app, what they were sent, and what they
 * had not sent. Written a moment later, those of many users together: after a start all come at once. That one is still
 * there, which asks over HTTP every few seconds, is written once an hour.
 */
import type { DeviceId, UserId } from '../../shared/names.js';
import { isMoved, type Store } from '../store/store.js';

/** Changes that are on the device alone, as it said itself. */
export interface Unsent {
  readonly count: number;
  /** When the oldest was made, or after that; `null` where there are none. */
  readonly since: number | null;
  /** When it said so. */
  readonly toldAt: number;
  /** The last sign of life of the connection that said so: what it had not told by then, it did not have. */
  readonly until: number;
}

/** Times are in ms since 1970. */
export interface SeenDevice {
  readonly device: DeviceId;
  /** The person who had it in hand, where that is known. */
  readonly actor: string | null;
  readonly via: 'yjs' | 'json' | 'http';
  /** The version of its app; `null` for one that does not tell. */
  readonly app: string | null;
  /** Its last sign of life. */
  readonly at: number;
  /** Up to which revision it was sent the document; `null` where something still waited for it. */
  readonly revision: number | null;
  /** `null` for one that does not tell. */
  readonly unsent: Unsent | null;
  /** When it last sent changes over HTTP that were saved; left out or `null` where that is not known. */
  readonly sentAt?: number | null;
}

/** As one of its connections knows it. */
export interface ConnectedDevice extends SeenDevice {
  /** It was heard of lately, and nothing that it sent waits to be read. */
  readonly isHeard: boolean;
}

type SeenStore = Pick<Store, 'seen' | 'noteSeen'>;

const GATHERING = 5_000;
/** How long it may wait, in ms, that a device is still there and nothing else is new of it. */
const STILL_THERE = 3_600_000;
/** By so much may differ since when its changes wait that are the same, in ms: it tells how long they do. */
const JITTER = 60_000;
/** Users whose devices are written before others have their turn. */
const AT_ONCE = 100;
/** How many are kept of a user. */
export const MOST_DEVICES = 50;

export class SeenDevices {
  readonly #store: SeenStore;
  /** What is not written yet. */
  #due = new Map<UserId, SeenDevice[]>();
  /** What is being written. */
  #writing: ReadonlyMap<UserId, readonly SeenDevice[]> = new Map();
  /** What tells only that they are still there, and is not written yet. */
  #later = new Map<UserId, SeenDevice[]>();
  /** What is written of those that came over HTTP within the last hour. */
  #known = new Map<UserId, ReadonlyMap<string, SeenDevice>>();
  #timer: NodeJS.Timeout | undefined;
  #laterTimer: NodeJS.Timeout | undefined;
  #flushed: Promise<void> = Promise.resolve();
  /** Users who are being erased. */
  readonly #erasing = new Set<UserId>();

  constructor(store: SeenStore) {
    this.#store = store;
  }

  note(user: UserId, seen: SeenDevice): void {
    if (this.#erasing.has(user)) return;
    const known = this.#known.get(user)?.get(nameOf(seen));
    if (known !== undefined && isNoNews(seen, known) && !this.#isBeingWritten(user, seen)) {
      add(this.#later, user, seen);
    } else {
      add(this.#due, user, seen);
      this.#timer ??= setTimeout(() => void this.#writeDue(), GATHERING).unref();
    }
  }

  /** Then what is written of it will be something else. */
  #isBeingWritten(user: UserId, seen: SeenDevice): boolean {
    const isOf = (other: SeenDevice) => nameOf(other) === nameOf(seen);
    return [this.#due, this.#writing].some((noted) => noted.get(user)?.some(isOf));
  }

  /** Newest first. */
  async of(user: UserId): Promise<readonly SeenDevice[]> {
    return kept([
      ...(await this.#stored(user)),
      ...(this.#writing.get(user) ?? []),
      ...(this.#due.get(user) ?? []),
      ...(this.#later.get(user) ?? []),
    ]);
  }

  /** Nothing of the user is noted while this erasure goes on, so that nothing is written behind it. */
  async without<Result>(user: UserId, erasure: () => Promise<Result>): Promise<Result> {
    this.#erasing.add(user);
    for (const noted of [this.#due, this.#later]) noted.delete(user);
    try {
      if (this.#writing.has(user)) await this.#flushed;
      this.#known.delete(user);
      return await erasure();
    } finally {
      this.#erasing.delete(user);
    }
  }

  /** Resolves when what was noted is stored, or can't be: then it is tried again, unless another server has the user. */
  flush(): Promise<void> {
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    this.#known.clear(); // who comes on is known again when it is written
    for (const [user, later] of this.#later) for (const each of later) add(this.#due, user, each);
    this.#later.clear();
    return this.#writeDue();
  }

  #writeDue(): Promise<void> {
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
      await Promise.all(all.slice(next, next + AT_ONCE).map((each) => this.#writeOne(each)));
    }
    this.#writing = new Map();
  }

  async #writeOne([user, seen]: readonly [UserId, readonly SeenDevice[]]): Promise<void> {
    try {
      await this.#add(user, seen).catch((error: unknown) => {
        if (!isMoved(error)) throw error;
        return this.#add(user, seen); // the other one may be gone, too
      });
    } catch (error) {
      if (isMoved(error)) return; // its devices come to the other one, and are noted there
      // What is stored may say "nothing" of a device that has told since that it has something.
      for (const each of seen) this.note(user, each);
    }
  }

  async #add(user: UserId, seen: readonly SeenDevice[]): Promise<void> {
    const all = kept([...(await this.#stored(user)), ...seen]);
    await this.#store.noteSeen(user, Buffer.from(JSON.stringify(all)));
    const polling = all.filter(({ via }) => via === 'http');
    if (polling.length === 0) return;
    this.#known.set(user, new Map(polling.map((each) => [nameOf(each), each])));
    this.#laterTimer ??= setTimeout(() => void this.flush(), STILL_THERE).unref();
  }

  async #stored(user: UserId): Promise<readonly SeenDevice[]> {
    const bytes = await this.#store.seen(user);
    return bytes === null ? [] : (JSON.parse(Buffer.from(bytes).toString()) as readonly SeenDevice[]);
  }
}

function add(noted: Map<UserId, SeenDevice[]>, user: UserId, seen: SeenDevice): void {
  const others = noted.get(user);
  noted.set(user, others === undefined ? [seen] : kept([...others, seen]));
}

/** Whether all that it says more than what is written is that the device is still there. */
function isNoNews(seen: SeenDevice, written: SeenDevice): boolean {
  const all = merged(written, seen);
  return (
    seen.via === written.via &&
    all.app === written.app &&
    all.revision === written.revision &&
    all.sentAt === (written.sentAt ?? null) &&
    all.unsent?.count === written.unsent?.count &&
    Math.abs((all.unsent?.since ?? 0) - (written.unsent?.since ?? 0)) < JITTER
  );
}

/** Of each device, however often it was seen, what is known of it; the newest first. */
export function mergedDevices(seen: readonly SeenDevice[]): SeenDevice[] {
  const all = new Map<string, SeenDevice>();
  for (const each of seen) {
    const name = nameOf(each);
    const other = all.get(name);
    all.set(name, other === undefined ? each : merged(other, each));
  }
  return [...all.values()].sort((a, b) => b.at - a.at);
}

/** What was seen last, and what was seen before where that says nothing. */
function merged(one: SeenDevice, other: SeenDevice): SeenDevice {
  const [before, last] = other.at < one.at ? [other, one] : [one, other];
  return {
    ...last,
    app: last.app ?? before.app,
    revision: last.revision ?? before.revision,
    unsent: latest(one.unsent, other.unsent),
    sentAt: Math.max(one.sentAt ?? 0, other.sentAt ?? 0) || null,
  };
}

/** What was told last, whichever connection ended last: one may end a minute after it was heard of last. */
function latest(one: Unsent | null, other: Unsent | null): Unsent | null {
  if (one === null || other === null) return one ?? other;
  const last = other.toldAt < one.toldAt ? one : other;
  return one.count === other.count ? { ...last, until: Math.max(one.until, other.until) } : last;
}

/** Those that are kept: a device with changes that are there alone goes behind all others. */
function kept(seen: readonly SeenDevice[]): SeenDevice[] {
  const all = mergedDevices(seen);
  if (all.length <= MOST_DEVICES) return all;
  const [has, rest] = [all.filter(hasUnsent), all.filter((each) => !hasUnsent(each))];
  return mergedDevices([...has, ...rest].slice(0, MOST_DEVICES));
}

const hasUnsent = ({ unsent }: SeenDevice): boolean => (unsent?.count ?? 0) > 0;

/** Another person may have given theirs the same id. */
export const nameOf = ({ device, actor }: Pick<SeenDevice, 'device' | 'actor'>): string =>
  JSON.stringify([device, actor]);
