/** What `/metrics` shows as it is at the moment that it is asked. */
import type { DocumentRegistry } from './documents/registry.js';
import type { Foundation } from './foundation.js';
import type { OpenConnections } from './gateways/websocket/connections.js';
import type { Metrics } from './metrics.js';
import type { StoreState } from './store/store.js';

export function describeState(
  metrics: Metrics,
  { store, cluster, backups }: Pick<Foundation, 'store' | 'cluster' | 'backups'>,
  registry: DocumentRegistry,
  connections: () => Pick<OpenConnections, 'byProtocol' | 'unsent'>,
): void {
  const states: readonly StoreState[] = ['ready', 'slow', 'reopening', 'closed'];
  metrics.gauge({ name: 'connections', help: 'Open WebSockets.', label: 'protocol' }, () => ({
    ...connections().byProtocol,
  }));
  metrics.gauge({ name: 'documents', help: 'Documents in memory.' }, () => registry.documents.length);
  metrics.gauge(
    { name: 'documents_asleep', help: 'Documents that connections follow and that are not in memory.' },
    () => registry.asleep,
  );
  metrics.gauge(
    { name: 'users_owned', help: 'In a cluster, users that this node serves.' },
    () => cluster?.owned ?? 0,
  );
  metrics.gauge(
    {
      name: 'beat_age_seconds',
      help: 'With STORE, time since the database last heard of this node; from 10 s on others take its users.',
    },
    () => (store.beat?.age ?? 0) / 1_000,
  );
  metrics.gauge(
    {
      name: 'clock_ahead_seconds',
      help: "With STORE, by how much the clock is ahead of the database's, less than 0 if behind.",
    },
    () => (store.beat?.clockAhead ?? 0) / 1_000,
  );
  metrics.gauge(
    { name: 'unsent_bytes', help: 'What waits for clients that read slowly.' },
    () => connections().unsent,
  );
  metrics.gauge(
    {
      name: 'last_backup_timestamp_seconds',
      help: 'When the last good backup was made, in seconds since 1970; 0 for never.',
    },
    () => (backups.lastAt ?? 0) / 1_000,
  );
  metrics.gauge({ name: 'store_state', help: '1 for the state that the store is in.', label: 'state' }, () =>
    Object.fromEntries(states.map((state) => [state, state === store.state ? 1 : 0])),
  );
}
