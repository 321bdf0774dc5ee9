import type { SyncRecord } from '../client/index.js';
import { FIELD, type FieldName, STATUSES, textOf, timeInWords, titleOf } from './appointments.js';
import { Editable } from './editable.js';
import { Icon } from './icons.js';
import { useViewers } from './viewers.js';

interface AppointmentCardProps {
  readonly record: SyncRecord;
  readonly isSelected: boolean;
  readonly onChange: (changes: Readonly<Record<string, unknown>>) => void;
  readonly onDelete: () => void;
  readonly onHistory: () => void;
}

export function AppointmentCard({ record, isSelected, onChange, onDelete, onHistory }: AppointmentCardProps) {
  const { viewers, onEnter, onLeave } = useViewers(String(record.id));
  const title = titleOf(record);
  const field = (name: FieldName) => ({
    label: FIELD[name].label,
    type: FIELD[name].type,
    hint: FIELD[name].hint,
    value: textOf(record, name),
    onSave: (value: string) => onChange({ [name]: value }),
    testId: `field-${name}`,
    className: `field-${name}`,
  });
  return (
    <li
      className="card"
      data-testid="card"
      data-id={record.id}
      data-selected={isSelected || undefined}
      onFocus={onEnter}
      onBlur={onLeave}
    >
      <Editable {...field('time')} shown={<Time value={textOf(record, 'time')} />} />
      <div className="card-main">
        <Editable {...field('patient')} />
        <p className="card-line">
          <Editable {...field('reason')} />
          <span aria-hidden="true">·</span>
          <Editable {...field('doctor')} />
        </p>
        <p className="card-line">
          <span className="card-label">Room</span>
          <Editable {...field('room')} />
        </p>
        <Editable {...field('notes')} />
      </div>
      <StatusSelect
        title={title}
        value={textOf(record, 'status')}
        onChange={(status) => onChange({ status })}
      />
      <div className="card-actions">
        {viewers.length > 0 && (
          <span className="viewers" data-testid="viewers">
            <span className="dot" /> {viewers.join(', ')} here
          </span>
        )}
        <button
          type="button"
          className="button icon-only"
          data-testid="open-history"
          aria-label={`History of ${title}`}
          aria-pressed={isSelected}
          onClick={onHistory}
        >
          <Icon name="history" size={17} />
        </button>
        <button
          type="button"
          className="button icon-only"
          data-testid="delete"
          aria-label={`Delete ${title}`}
          onClick={onDelete}
        >
          <Icon name="trash" size={17} />
        </button>
      </div>
    </li>
  );
}

function Time({ value }: { readonly value: string }) {
  const words = timeInWords(value);
  if (words === null) return value;
  return (
    <>
      <span className="clock">{words.clock}</span>
      <span className="day">{words.day}</span>
    </>
  );
}

interface StatusSelectProps {
  readonly title: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function StatusSelect({ title, value, onChange }: StatusSelectProps) {
  const values: readonly string[] = STATUSES;
  return (
    <select
      className="status"
      data-testid="status"
      data-status={value}
      aria-label={`Status of ${title}`}
      value={value}
      onChange={({ target }) => onChange(target.value)}
    >
      {(values.includes(value) ? values : [value, ...values]).map((each) => (
        <option key={each} value={each}>
          {each || 'no status'}
        </option>
      ))}
    </select>
  );
}
