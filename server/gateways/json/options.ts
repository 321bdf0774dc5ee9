import type { DeviceId } from '../../../shared/names.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import type { SharedAccess } from '../guard/shared-access.js';

/** A message, which may be encoded already. */
export type Text = string | Buffer;

/** What a session can do to its connection. */
export interface JsonOutbox {
  send(text: Text): void;
  /** Sends what the device asked for; `sent` is called when it has left. */
  answer(text: Buffer, sent: () => void): void;
  /** A WebSocket ping; every client answers it with a pong of the same payload by itself. */
  ping(payload: string): void;
  /** Runs a task in the turns of the user, behind what has come in over the connection. */
  behind(task: () => void): void;
  /** What `work` sends leaves in one write. */
  together<Result>(work: () => Result): Result;
  /** Ends the connection with the error's close code. */
  close(error: SyncError): void;
}

export interface JsonSessionOptions {
  readonly document: FollowedDocument;
  readonly device: DeviceId;
  /** The person the device acts for; left out where none is known. */
  readonly actor?: string | null;
  /** The device may look, not change (N7). */
  readonly readOnly?: boolean;
  /** The shared collections; left out where there are none. */
  readonly shared?: SharedAccess | null;
  readonly outbox: JsonOutbox;
  readonly now: () => number;
  /** How messages are paced; left out: not at all. */
  readonly pace?: {
    /** In ms, from the receipt of a message to the next one of the same collection; 0: they don't wait. */
    readonly gap: number;
    /** Bytes that may wait. */
    readonly mostBytes: number;
    /** Runs `task` later, unless the function that it returns is called. */
    readonly after: (ms: number, task: () => void) => () => void;
  };
  readonly log: Log;
  readonly maxDepth: number;
  readonly maxMessage: number;
}
