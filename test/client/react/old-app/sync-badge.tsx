import { useEffect, useState } from 'react';
import { syncManager } from '../../../../client/compat/index.js';

/** In the corner of each page: it asks again and again, since the JSON client told of no status. */
export function SyncBadge() {
  const [status, setStatus] = useState(syncManager.getSyncStatus());
  useEffect(() => {
    const timer = setInterval(() => setStatus(syncManager.getSyncStatus()), 50);
    return () => clearInterval(timer);
  }, []);
  const { connected, pendingChanges } = status;
  return (
    <p>
      badge {connected ? 'online' : 'offline'} {pendingChanges > 0 && 'unsent'}
    </p>
  );
}
