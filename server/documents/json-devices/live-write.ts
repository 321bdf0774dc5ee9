import type { RecordKey } from '../records/record-key.js';
import type { DeviceState } from './device.js';
import type { OwnWrite } from './own-write.js';

/** The device's own last write of a record, as one of its connections knows it. */
export interface LiveWrite extends OwnWrite {
  readonly at: number;
  readonly isReplay: boolean;
  /** Number of the first message with the record that was sent since. */
  readonly shownBy: number | null;
  readonly isLate: boolean;
  readonly isOverHttp: boolean;
}

/** Who has to know that a device wrote over a connection. */
export interface WritesHeard {
  /** @param by the connection */
  wroteLive(by: { readonly device: DeviceState }, key: RecordKey, own: LiveWrite): void;
}

/** What came over HTTP. */
export type PostedWrite = OwnWrite & { readonly at: number };

/**
 * What a request wrote is in the device's copy from now on, until something else reaches it over the connection.
 *
 * @param last what that knows
 * @param unread the oldest revision in a message with the record that the app may have read only after it wrote this
 */
export function afterPost(
  last: LiveWrite | undefined,
  own: PostedWrite,
  corrected: boolean,
  unread: number | null,
): LiveWrite {
  // It may have waited in a queue.
  if (last !== undefined && madeAtOf(last) > madeAtOf(own)) return last;
  const since = Math.min(own.since, unread ?? own.since);
  const [replaced, withBase] = [last?.replaced ?? [], unread !== null];
  const rest = { isReplay: false, shownBy: null, isLate: false, isOverHttp: true };
  return { ...own, since, withBase, replaced, isShown: corrected, ...rest };
}

/** Whether a request had brought it before something came that the device had made earlier. */
export const isPostedLater = (own: LiveWrite | undefined, madeAt: number | null): boolean =>
  own?.isOverHttp === true && madeAt !== null && (own.madeAt ?? madeAt) > madeAt;

/** Whether the device made the second one after the first, as far as is known: what a queue sends may be older. */
export const isMadeLater = (posted: PostedWrite, live: LiveWrite): boolean =>
  (live.madeAt !== null || !live.isReplay) && madeAtOf(live) >= madeAtOf(posted);

/** What of it outlives the connection. */
export function withoutLive({
  shownBy: _shown,
  isLate: _late,
  isReplay: _replay,
  isOverHttp: _http,
  ...own
}: LiveWrite): PostedWrite {
  return own;
}

const madeAtOf = ({ madeAt, at }: PostedWrite): number => madeAt ?? at;
