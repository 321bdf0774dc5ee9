import { useState } from 'react';
import type { RestoredPage } from './api.js';
import { ago, count, date, number } from './format.js';
import { useAnswer } from './use-answer.js';

/** What the answers before this one have counted, where there are more users than one answer looks at. */
interface Counted extends Pick<RestoredPage, 'looked' | 'back' | 'away' | 'first'> {
  readonly next: string | null;
}

const NOTHING: Counted = { looked: 0, back: 0, away: 0, first: [], next: null };

const together = (before: Counted, { looked, back, away, first, next }: RestoredPage): Counted => ({
  looked: before.looked + looked,
  back: before.back + back,
  away: before.away + away,
  first: [...before.first, ...first],
  next,
});

/** Who of the devices has been back since the restore, and has brought what the backup lacked. */
export function Restored({ restoredAt }: { readonly restoredAt: number }) {
  const [before, setBefore] = useState(NOTHING);
  const from = before.next === null ? '' : `?after=${encodeURIComponent(before.next)}`;
  const { answer, error, again } = useAnswer<RestoredPage>(`/restored${from}`);
  const counted = answer === null ? before : together(before, answer);
  const anew = () => (before === NOTHING ? again() : setBefore(NOTHING));
  return (
    <section className="panel" data-testid="restored">
      <div className="panel-head">
        <h3>Restored from a backup on {date(restoredAt)}</h3>
        <div className="actions">
          {answer?.next != null && (
            <button type="button" className="button small" onClick={() => setBefore(counted)}>
              Count on
            </button>
          )}
          <button type="button" className="button small" onClick={anew}>
            Look again
          </button>
        </div>
      </div>
      {error !== null && <p role="alert">{error}</p>}
      <p>
        <strong>
          {number(counted.back)} of {count(counted.back + counted.away, 'device')}
        </strong>{' '}
        of the {count(counted.looked, 'user')} looked at {counted.back === 1 ? 'has' : 'have'} been back since
        {counted.next === null ? '' : '; there are more users to look at'}. Who comes back brings what the
        backup lacked.
      </p>
      {answer !== null && counted.first.length > 0 && (
        <details>
          <summary>
            {counted.first.length < counted.away
              ? `Not back yet, ${counted.first.length} of ${number(counted.away)}`
              : 'Not back yet'}
          </summary>
          <ul>
            {counted.first.map(({ user, device, actor, at }) => (
              <li key={JSON.stringify([user, device, actor])}>
                {device} of <a href={`#/users/${encodeURIComponent(user)}`}>{user}</a>
                {actor === null || actor === user ? '' : `, in the hands of ${actor}`}, last here{' '}
                {ago(at, answer.now)}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
