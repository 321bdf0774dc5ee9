import { useState } from 'react';
import type { DeviceUsers } from './api.js';
import { count } from './format.js';
import { useHasNodes } from './nodes.js';
import { useAnswer } from './use-answer.js';
import { Visits } from './visits.js';

/** Whom one phone was used for. */
export function DevicePage({ device }: { readonly device: string }) {
  const [after, setAfter] = useState<string | null>(null);
  const hasNodes = useHasNodes();
  const query = after === null ? '' : `?after=${encodeURIComponent(after)}`;
  const { answer, error, again } = useAnswer<DeviceUsers>(
    `/devices/${encodeURIComponent(device)}/users${query}`,
  );
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>
          Users of the device <span data-testid="device-name">{device}</span>
        </h2>
        <button type="button" className="button small" onClick={again}>
          Look again
        </button>
      </div>
      {error !== null && <p role="alert">{error}</p>}
      {answer !== null && (
        <Visits
          of="User"
          answer={answer}
          rows={answer.users.map(({ user, ...visit }) => ({
            key: JSON.stringify([user, visit.actor]),
            name: <a href={`#/users/${encodeURIComponent(user)}`}>{user}</a>,
            visit,
          }))}
        />
      )}
      {answer !== null && (
        <p className="quiet" data-testid="looked">
          It is remembered for {count(answer.users.length, 'user')} of the {count(answer.looked, 'user')}{' '}
          looked at{answer.next === null ? '' : '; there are more to look at'}. Of each user, the 50 devices
          that were there last are remembered.
          {hasNodes &&
            ' Whether it is connected to another node is known there: follow the name of its user.'}
        </p>
      )}
      <div className="actions">
        {after !== null && (
          <button type="button" className="button small" onClick={() => setAfter(null)}>
            From the start
          </button>
        )}
        {answer?.next != null && (
          <button type="button" className="button small" onClick={() => setAfter(answer.next)}>
            Search on
          </button>
        )}
      </div>
    </section>
  );
}
