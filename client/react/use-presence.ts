import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { Presence, PresenceEntry } from '../presence/presence.js';
import { useSyncClient } from './client-context.js';

const NOBODY: readonly PresenceEntry[] = [];

export interface PresenceView {
  /** The other clients of this user that said something of themselves. */
  readonly others: readonly PresenceEntry[];
  /** What this one said. */
  readonly self: PresenceEntry | null;
  /** Says something of this client to the others: JSON, at most 4 KB; null takes it back. */
  readonly set: Presence['set'];
}

/** Who else is there. */
export function usePresence(): PresenceView {
  const { presence } = useSyncClient();
  const subscribe = useCallback((onChange: () => void) => presence.subscribe(onChange), [presence]);
  const entries = useSyncExternalStore(
    subscribe,
    () => presence.current,
    () => NOBODY,
  );
  return useMemo(
    () => ({
      others: entries.filter(({ self }) => !self),
      self: entries.find(({ self }) => self) ?? null,
      set: (state) => presence.set(state),
    }),
    [entries, presence],
  );
}
