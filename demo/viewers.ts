import { useMemo } from 'react';
import { usePresence, useSyncClient } from '../client/react/index.js';
import { nameOfDevice } from './identity.js';

interface Viewers {
  /** The other devices that have this record before them. */
  readonly viewers: readonly string[];
  readonly onEnter: () => void;
  readonly onLeave: () => void;
}

/** Who else has this record before them; and tells the others when this device has. */
export function useViewers(id: string): Viewers {
  const { others, set } = usePresence();
  const deviceId = useSyncClient().getConfig()?.deviceId;
  const viewers = useMemo(() => {
    const here = others.filter(({ state }) => state.looksAt === id);
    return [...new Set(here.map(({ state }) => nameOfDevice(String(state.device))))].sort();
  }, [others, id]);
  return {
    viewers,
    onEnter: () => set({ device: deviceId, looksAt: id }),
    onLeave: () => set(null),
  };
}
