import type { DeviceId } from '../../../shared/names.js';
import type { Unsent } from '../../documents/seen-devices.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { SyncError } from '../../errors.js';
import type { SharedFrames } from './line.js';

/** What a session can do to its connection. */
export interface YjsOutbox {
  /** Sends messages that belong together. */
  send(messages: readonly Uint8Array[]): void;
  /** Sends what the client asked for, in one or more messages; `sent` is called when all have left. */
  answer(messages: readonly Uint8Array[], sent: () => void): void;
  /** Ends the connection with the error's close code. */
  close(error: SyncError): void;
}

/** What a client says that it has not sent. */
export type Told = Omit<Unsent, 'until'>;

export interface YjsSessionOptions {
  readonly document: FollowedDocument;
  readonly device: DeviceId;
  /** The person the device acts for; left out where none is known. */
  readonly actor?: string | null;
  /** The client may look, not change (N7). */
  readonly readOnly?: boolean;
  /** The client asked to send times with its changes (N9). */
  readonly asksForTimes?: boolean;
  /** The client fetches a document anew that was rewritten (P10). */
  readonly takesRewrites?: boolean;
  /** It does so now, and wants to know what had arrived before. */
  readonly asksForEpoch?: boolean;
  readonly outbox: YjsOutbox;
  /** Frames that all sessions of a server send; without it, each makes its own. */
  readonly frames?: SharedFrames;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds from any moment on, that never jump; left out where `now` does not either. */
  readonly uptime?: () => number;
  /** The client tells how many changes it has not sent, `at` by the clock that never jumps. */
  readonly onUnsent?: (told: Told, at: number) => void;
  readonly maxPending: number;
  readonly pendingTimeout: number;
}
