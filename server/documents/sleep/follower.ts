/** Who follows a document that may sleep, and who holds it in memory. */
import type { SyncError } from '../../errors.js';
import type { Subscriber } from '../changes.js';
import type { UserDocument } from '../user-document.js';

/** A connection that follows a document, awake or not. */
export interface Follower extends Subscriber {
  /** It waits for nothing of the document. */
  readonly isQuiet: boolean;
  /** Its device fetches a document anew that was rewritten (P10). */
  readonly takesRewrites: boolean;
  /** What it has is of a document that is gone; it goes on without this connection (P10). */
  rewritten(error: SyncError): void;
  /** Takes messages that say who is there. */
  tell(frames: readonly Uint8Array[]): void;
}

/** A document that is held in memory. */
export interface Hold {
  readonly document: UserDocument;
  /** Whether nobody else uses it. */
  readonly isSole: boolean;
  release(): void;
  /** The same, and it leaves the memory at once. */
  letGo(): void;
}
