/** What a user sees of the sync: docs/guides/FORMS.md. */
import { useSyncStatus } from 'telemed-sync/react';

export function Saved() {
  const { pendingChanges, connection, durable, reason } = useSyncStatus();
  if (!durable) return <p role="alert">This device can't store changes now. Don't close the app.</p>;
  if (connection === 'needs-token') return <p role="alert">Sign in again to send your changes.</p>;
  if (pendingChanges === 0) return <p>Everything is saved on the server.</p>;
  return (
    <p title={reason ?? ''}>
      {pendingChanges} {pendingChanges === 1 ? 'change is' : 'changes are'} on this device only
    </p>
  );
}
