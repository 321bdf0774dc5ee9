import { useSyncExternalStore } from 'react';
import type { SyncRecord } from '../client/index.js';
import { Icon } from '../web/icons.js';
import { byTime, inWords, textOf, titleOf } from './appointments.js';
import { ConnectionBadge, PendingBadge } from './badges.js';
import { Editable } from './editable.js';
import type { JsonDevice } from './json-device.js';
import { MessageLog } from './message-log.js';
import { Pane } from './pane.js';

interface JsonPaneProps {
  readonly device: JsonDevice;
  readonly selected: string | null;
  readonly onHistory: (id: string) => void;
}

/** The device that knows nothing of Yjs: it shows and sends whole records. */
export function JsonPane({ device, selected, onHistory }: JsonPaneProps) {
  const { connection, wanted, records, queue, log } = useSyncExternalStore(
    device.subscribe,
    () => device.state,
  );
  return (
    <Pane
      name="old-app"
      title="Old app"
      subtitle="Whole records as JSON, no Yjs"
      icon="terminal"
      online={wanted}
      onNetwork={(on) => device.setOnline(on)}
      badges={
        <>
          <ConnectionBadge state={connection} testId="old-app-connection" />
          <PendingBadge count={queue.length} testId="old-app-pending" />
        </>
      }
    >
      <p className="quiet">
        Change one value: it sends the whole record as it holds it, however old. The others’ edits stay.
      </p>
      {records.length === 0 && (
        <p className="empty-small" data-testid="old-app-empty">
          It holds no appointments yet.
        </p>
      )}
      <ul className="json-list">
        {[...records].sort(byTime).map((record, index) => (
          <JsonRecord
            key={String(record.id)}
            {...{ record, device, onHistory }}
            open={index === 0}
            isSelected={selected === String(record.id)}
          />
        ))}
      </ul>
      <MessageLog log={log} />
    </Pane>
  );
}

interface JsonRecordProps extends Omit<JsonPaneProps, 'selected'> {
  readonly record: SyncRecord;
  readonly open: boolean;
  readonly isSelected: boolean;
}

function JsonRecord({ record, device, onHistory, open, isSelected }: JsonRecordProps) {
  const title = titleOf(record);
  return (
    <li
      className="json-record"
      data-testid="json-record"
      data-id={record.id}
      data-selected={isSelected || undefined}
    >
      <details open={open}>
        <summary>
          <span className="json-title">{title}</span>
          <span className="json-status">{textOf(record, 'status')}</span>
        </summary>
        <dl className="json">
          {Object.entries(record).map(([field, value]) => (
            <JsonField key={field} {...{ record, device, field, value }} />
          ))}
        </dl>
        <div className="actions">
          <button type="button" className="button small" onClick={() => onHistory(String(record.id))}>
            <Icon name="history" size={15} /> History<span className="hidden"> of {title}</span>
          </button>
          <button type="button" className="button small" onClick={() => device.delete(record.id)}>
            <Icon name="trash" size={15} /> Delete<span className="hidden"> {title}</span>
          </button>
        </div>
      </details>
    </li>
  );
}

interface JsonFieldProps {
  readonly record: SyncRecord;
  readonly device: JsonDevice;
  readonly field: string;
  readonly value: unknown;
}

function JsonField({ record, device, field, value }: JsonFieldProps) {
  const save = (text: string) => device.change(record.id, field, sameType(value, text));
  return (
    <div className="json-field">
      <dt>{field}</dt>
      <dd>
        {field === 'id' ? (
          <code className="json-id">{inWords(value)}</code>
        ) : (
          <Editable
            label={field}
            value={inWords(value)}
            words={JSON.stringify(value)}
            hint={JSON.stringify(value)}
            onSave={save}
            className="mono"
            testId={`json-${field}`}
          />
        )}
      </dd>
    </div>
  );
}

/** A number stays a number, a list a list; what can't be read as one becomes text. */
function sameType(before: unknown, text: string): unknown {
  if (typeof before === 'string') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
