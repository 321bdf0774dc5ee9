import type { ConnectionState } from '../client/index.js';

const WORDS: Readonly<Record<ConnectionState, string>> = {
  online: 'Online',
  connecting: 'Connecting',
  offline: 'Offline',
  'needs-token': 'Needs a token',
  refused: 'Refused',
  closed: 'Closed',
};

interface ConnectionBadgeProps {
  readonly state: ConnectionState;
  readonly testId: string;
}

export function ConnectionBadge({ state, testId }: ConnectionBadgeProps) {
  return (
    <span className="badge" role="status" data-state={state} data-testid={testId}>
      <span className="dot" />
      {WORDS[state]}
    </span>
  );
}

interface PendingBadgeProps {
  readonly count: number;
  readonly testId: string;
}

/** Changes that the server has not confirmed yet. */
export function PendingBadge({ count, testId }: PendingBadgeProps) {
  return (
    <span className="badge" data-state={count > 0 ? 'pending' : 'settled'} data-testid={testId}>
      {count} pending
    </span>
  );
}
