import { useEffect, useRef, useState } from 'react';
import { Icon } from '../web/icons.js';
import { inWords, titleOf } from './appointments.js';
import { type Difference, differencesOf, type HistoryEntry, restore, useHistory } from './history.js';
import { nameOfDevice } from './identity.js';

interface HistoryPanelProps {
  /** Null for all records. */
  readonly id: string | null;
  readonly onSelect: (id: string | null) => void;
  readonly onClose: () => void;
  readonly onChange: (listener: () => void) => () => void;
}

/** Who changed what and when, as the server knows it; each version can be brought back. */
export function HistoryPanel({ id, onSelect, onClose, onChange }: HistoryPanelProps) {
  const { entries, error, reload } = useHistory(id, onChange);
  const heading = useRef<HTMLHeadingElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another record is another content to read from the top
  useEffect(() => heading.current?.focus(), [id]);
  return (
    <aside
      className="history"
      data-testid="history"
      aria-labelledby="history-title"
      onKeyDown={({ key }) => key === 'Escape' && onClose()}
    >
      <header className="history-head">
        <div>
          <h2 id="history-title" ref={heading} tabIndex={-1}>
            History
          </h2>
          <p>{id === null ? 'All records' : subjectOf(entries)}</p>
        </div>
        <button type="button" className="button icon-only" aria-label="Close the history" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {id !== null && (
        <button type="button" className="link" onClick={() => onSelect(null)}>
          Show all records, deleted ones too
        </button>
      )}
      {error !== null && <HistoryError error={error} onRetry={reload} />}
      {error === null && entries === null && <p className="quiet">Asking the server…</p>}
      {entries?.length === 0 && <HistoryEmpty />}
      {entries !== null && entries.length > 0 && (
        <ol className="history-list">
          {entries.map((entry, index) => (
            <Entry
              key={entry.revision}
              entry={entry}
              isCurrent={id !== null && index === 0}
              onSelect={id === null ? onSelect : null}
            />
          ))}
        </ol>
      )}
    </aside>
  );
}

function subjectOf(entries: readonly HistoryEntry[] | null): string {
  const record = entries?.map(({ after, before }) => after ?? before).find((each) => each !== null);
  return record ? titleOf(record) : 'One record';
}

function HistoryEmpty() {
  return (
    <p className="empty-small" data-testid="history-empty">
      Nothing yet. A change appears here once the server has it on its disk; those made offline follow later.
    </p>
  );
}

function HistoryError({ error, onRetry }: { readonly error: string; readonly onRetry: () => void }) {
  return (
    <div className="notice" data-kind="error" role="alert" data-testid="history-error">
      <Icon name="warning" />
      <p>{error} The history is kept there; the devices go on without it.</p>
      <button type="button" className="button small" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}

const WHEN = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

interface EntryProps {
  readonly entry: HistoryEntry;
  readonly isCurrent: boolean;
  /** Null where all entries are of one record. */
  readonly onSelect: ((id: string) => void) | null;
}

function Entry({ entry, isCurrent, onSelect }: EntryProps) {
  const { id, before, after, deviceId, via, at } = entry;
  const record = after ?? before;
  return (
    <li className="entry" data-testid="history-entry" data-what={whatOf(entry)}>
      <p className="entry-head">
        <strong>{nameOfDevice(deviceId)}</strong> {VERBS[whatOf(entry)]}
        {onSelect !== null && record !== null && (
          <button type="button" className="link" onClick={() => onSelect(id)}>
            {titleOf(record)}
          </button>
        )}
        <span className="via">{via}</span>
      </p>
      <time className="entry-time">{WHEN.format(at)}</time>
      {before !== null && after !== null && <Differences of={entry} />}
      {isCurrent && after !== null ? (
        <p className="entry-now">This is how it is now.</p>
      ) : (
        <Restore entry={entry} />
      )}
    </li>
  );
}

type What = 'created' | 'changed' | 'deleted' | 'restored';
const VERBS: Readonly<Record<What, string>> = {
  created: 'created it',
  changed: 'changed',
  deleted: 'deleted it',
  restored: 'restored it',
};

function whatOf({ before, after, via }: HistoryEntry): What {
  if (after === null) return 'deleted';
  if (via === 'restore') return 'restored';
  return before === null ? 'created' : 'changed';
}

function Differences({ of }: { readonly of: HistoryEntry }) {
  return (
    <dl className="differences">
      {differencesOf(of).map((difference) => (
        <DifferenceLine key={difference.field} {...difference} />
      ))}
    </dl>
  );
}

function DifferenceLine({ field, before, after }: Difference) {
  return (
    <div>
      <dt>{field}</dt>
      <dd>
        {before !== null && <del>{inWords(before) || 'empty'}</del>}
        <span className="arrow"> → </span>
        {after === null ? <em>removed</em> : <ins>{inWords(after) || 'empty'}</ins>}
      </dd>
    </div>
  );
}

function Restore({ entry }: { readonly entry: HistoryEntry }) {
  const [error, setError] = useState<string | null>(null);
  const onClick = () => {
    setError(null);
    restore(entry).catch((reason: unknown) =>
      setError(reason instanceof Error ? reason.message : String(reason)),
    );
  };
  return (
    <>
      <button type="button" className="button small" data-testid="restore" onClick={onClick}>
        {entry.after === null ? 'Bring it back' : 'Restore this version'}
      </button>
      {error !== null && (
        <p className="error-text" role="alert">
          Not restored: {error}
        </p>
      )}
    </>
  );
}
