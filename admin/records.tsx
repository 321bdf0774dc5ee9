import { useState } from 'react';
import { visible } from '../shared/names.js';
import { ask, type Entry, type Fields, type HistoryPage, pathOf, type Records } from './api.js';
import { Confirm } from './confirm.js';
import { ago, count, date } from './format.js';
import { useAnswer } from './use-answer.js';

/** A user's records are read only when somebody asks for them: that, too, is in the audit trail. */
export function RecordsPanel({ user }: { readonly user: string }) {
  const [shown, setShown] = useState<'records' | 'history' | null>(null);
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>Records</h2>
        <div className="actions">
          {(['records', 'history'] as const).map((what) => (
            <button
              key={what}
              type="button"
              className="button small"
              data-testid={`show-${what}`}
              aria-pressed={shown === what}
              onClick={() => setShown(what)}
            >
              {what === 'records' ? 'Show records' : 'Show history'}
            </button>
          ))}
        </div>
      </div>
      {shown === null && <p className="quiet">To look at them is an entry in the audit trail.</p>}
      {shown === 'records' && <RecordList user={user} />}
      {shown === 'history' && <History user={user} />}
    </section>
  );
}

function RecordList({ user }: { readonly user: string }) {
  const { answer, error } = useAnswer<Records>(pathOf(user, '/records'));
  if (error !== null) return <p role="alert">{error}</p>;
  if (answer === null) return null;
  const filled = Object.entries(answer.collections).filter(([, records]) => records.length > 0);
  if (filled.length === 0) return <p className="quiet">There are none.</p>;
  return filled.map(([collection, records]) => <Collection key={collection} {...{ collection, records }} />);
}

/** As many as a page shows at once: a user may have so many records that it would stand still. */
const AT_ONCE = 100;

interface CollectionProps {
  readonly collection: string;
  readonly records: readonly Fields[];
}

/** Nothing of it is on the page before somebody opens it. */
function Collection({ collection, records }: CollectionProps) {
  const [shown, setShown] = useState(0);
  const open = (isOpen: boolean) => setShown((before) => (isOpen && before === 0 ? AT_ONCE : before));
  return (
    <details
      className="collection"
      data-testid={`collection-${collection}`}
      onToggle={({ currentTarget }) => open(currentTarget.open)}
    >
      <summary>
        {visible(collection)} <span className="quiet">{count(records.length, 'record')}</span>
      </summary>
      <ul>
        {records.slice(0, shown).map((record) => (
          <li key={String(record.id)}>
            <pre>{JSON.stringify(record, null, 2)}</pre>
          </li>
        ))}
      </ul>
      {records.length > shown && (
        <button type="button" className="button small" onClick={() => setShown(shown + AT_ONCE)}>
          Show more
        </button>
      )}
    </details>
  );
}

function History({ user }: { readonly user: string }) {
  const [before, setBefore] = useState<number | null>(null);
  const [wanted, setWanted] = useState<Entry | null>(null);
  const query = before === null ? '' : `&before=${before}`;
  const { answer, error, again } = useAnswer<HistoryPage>(pathOf(user, `/history?limit=25${query}`));
  return (
    <>
      {error !== null && <p role="alert">{error}</p>}
      {answer?.entries.length === 0 && <p className="quiet">Nothing is kept.</p>}
      <ol className="entries">
        {answer?.entries.map((entry) => (
          <EntryRow key={entry.revision} entry={entry} onRestore={() => setWanted(entry)} />
        ))}
      </ol>
      <div className="actions">
        {before !== null && (
          <button type="button" className="button small" onClick={() => setBefore(null)}>
            Newest
          </button>
        )}
        {answer?.next != null && (
          <button type="button" className="button small" onClick={() => setBefore(answer.next)}>
            Older
          </button>
        )}
      </div>
      {wanted !== null && (
        <Confirm
          title="Bring this record back?"
          action="Bring it back"
          run={async () => {
            const { collection, id, revision } = wanted;
            await ask(pathOf(user, '/restore'), { body: { collection, id, revision } });
            again();
          }}
          onClose={() => setWanted(null)}
        >
          <p>
            {visible(wanted.collection)} {visible(wanted.id)} becomes what it was after change{' '}
            {wanted.revision}, as a new change that all devices of {user} get. The history names the operator.
          </p>
        </Confirm>
      )}
    </>
  );
}

interface EntryProps {
  readonly entry: Entry;
  readonly onRestore: () => void;
}

function EntryRow({ entry, onRestore }: EntryProps) {
  const { revision, collection, id, before, after, deviceId, actor, via, at } = entry;
  const what = after === null ? 'deleted' : before === null ? 'created' : 'changed';
  return (
    <li data-testid="entry">
      <div className="panel-head">
        <p>
          <strong>
            {visible(collection)} {visible(id)}
          </strong>{' '}
          {what}{' '}
          <span className="quiet" title={date(at)}>
            {ago(at)}, change {revision}, by {actor ?? deviceId} ({via})
          </span>
        </p>
        {after !== null && (
          <button type="button" className="button small" data-testid="restore" onClick={onRestore}>
            Bring back
          </button>
        )}
      </div>
      <dl className="differences">
        {differences(before, after).map(([name, old, next]) => (
          <div key={name}>
            <dt>{visible(name)}</dt>
            <dd>
              {old !== undefined && <del>{JSON.stringify(old)}</del>}{' '}
              {next !== undefined && <ins>{JSON.stringify(next)}</ins>}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}

function differences(before: Fields | null, after: Fields | null): [string, unknown, unknown][] {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.flatMap((name): [string, unknown, unknown][] => {
    const [old, next] = [before?.[name], after?.[name]];
    return name === 'id' || JSON.stringify(old) === JSON.stringify(next) ? [] : [[name, old, next]];
  });
}
