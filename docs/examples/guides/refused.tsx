/** Changes that the server refused, for the user to decide about: docs/guides/FORMS.md. */
import { syncManager } from 'telemed-sync';
import { useSyncStatus } from 'telemed-sync/react';

export function Refused() {
  const refused = useSyncStatus((status) => status.refused);
  return (
    <ul>
      {refused.map(({ key, collection, reason }) => (
        <li key={key}>
          A change in {collection ?? 'several records'} was refused: {reason}
          <button type="button" onClick={() => void syncManager.retryRefused(key)}>
            Try again
          </button>
          <button type="button" onClick={() => void syncManager.discardRefused(key)}>
            Give up
          </button>
        </li>
      ))}
    </ul>
  );
}
