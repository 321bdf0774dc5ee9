import type { Store } from '../../server/store/store.js';
import type { UserId } from '../../shared/names.js';

/** One implementation under test; `open` may be called again after `close`, and finds the same data. */
export interface StoreFixture {
  open(): Promise<Store>;
  /** The next batch of the open store fails; whether it is there afterwards is the implementation's. */
  failNextBatch(): void;
  /** Damages what is stored of this user. */
  damage(user: UserId): Promise<void>;
  remove(): Promise<void>;
}
