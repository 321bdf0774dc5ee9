import type { StorageError } from '../../client/errors.js';
import type {
  DeviceStorage,
  LocalStore,
  LocalStoreEvents,
  NewChange,
  StoreNews,
} from '../../client/local-store/store.js';

/** A place where one kind of storage keeps things, for one test. */
export interface LocalStoreFixture {
  /** The storage as an app finds it when it starts: everything that was opened before is closed. */
  storage(): DeviceStorage;
  /** The next write of an open store finds no room. */
  fillUp(): void;
  remove(): Promise<void>;
}

export interface LocalStoreTraits {
  /** What becomes of a store that is opened while another one of its name is: it shares it as a tab does, or not. */
  readonly secondStore: 'shares' | 'refused';
  readonly canBeFull: boolean;
  /** How many random sequences are tried. */
  readonly runs: number;
}

/** Notes what a store tells its app. */
export class Listener implements LocalStoreEvents {
  news = 0;
  readonly gone: string[] = [];
  readonly errors: StorageError[] = [];

  onNews(): void {
    this.news += 1;
  }
  onGone(how: 'cleared' | 'lost'): void {
    this.gone.push(how);
  }
  onError(error: StorageError): void {
    this.errors.push(error);
  }
}

export const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
export const textOf = (stored: Uint8Array): string => Buffer.from(stored).toString();

export const change = (text: string, pending = false): NewChange => ({ bytes: bytes(text), pending });

export const put = (store: LocalStore, ...texts: string[]): Promise<readonly number[]> =>
  store.append(() => texts.map((text) => change(text)));

/** As `put`, for changes that are not confirmed yet. */
export const putPending = (store: LocalStore, ...texts: string[]): Promise<readonly number[]> =>
  store.append(() => texts.map((text) => change(text, true)));

export async function newsOf(store: LocalStore): Promise<StoreNews> {
  let told: StoreNews | null = null;
  await store.append((news) => {
    told = news;
    return [];
  });
  if (told === null) throw new Error('step was not called');
  return told;
}

/** The news as texts, those that are pending with a `!`. */
export const read = async (store: LocalStore): Promise<string[]> =>
  (await newsOf(store)).changes.map((each) => textOf(each.bytes) + (each.pending ? '!' : ''));

/** The stores that a test has open, and closes. */
export class OpenStores {
  private storage: DeviceStorage;
  private readonly opened: LocalStore[] = [];

  constructor(private readonly fixture: LocalStoreFixture) {
    this.storage = fixture.storage();
  }

  get current(): DeviceStorage {
    return this.storage;
  }

  async open(user = 'anna', listener = new Listener()): Promise<LocalStore> {
    const store = await this.storage.open(user, listener);
    this.opened.push(store);
    return store;
  }

  /** As when the app ends and starts again. */
  async restart(): Promise<LocalStore> {
    await this.close();
    this.storage = this.fixture.storage();
    return this.open();
  }

  async close(): Promise<void> {
    for (const store of this.opened.splice(0)) await store.close();
  }

  async remove(): Promise<void> {
    await this.close();
    await this.fixture.remove();
  }
}
