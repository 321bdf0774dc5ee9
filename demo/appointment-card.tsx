import type { SyncRecord } from '../client/index.js';
import { Icon } from '../web/icons.js';
import { FIELD, type FieldName, STATUSES, textOf, timeInWords, titleOf } from './appointments.js';
import { Editable } from './editable.js';
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
      data-viewed={viewers.length > 0 || undefined}
      onFocus={onEnter}
      onBlur={onLeave}
    >
      {viewers.length > 0 && (
        <span className="viewers" data-testid="viewers">
          <span className="dot" /> {viewers.join(', ')} here
        </span>
      )}
      <Editable {...field('time')} {...timeShown(textOf(record, 'time'))} />
      <Editable {...field('patient')} />
      <StatusSelect
        title={title}
        value={textOf(record, 'status')}
        onChange={(status) => onChange({ status })}
      />
      <div className="card-line">
        <span className="card-part">
          <Editable {...field('reason')} />
        </span>
        <span className="card-part">
          <Editable {...field('doctor')} />
        </span>
        <span className="card-part">
          <span className="card-label">Room</span>
          <Editable {...field('room')} />
        </span>
      </div>
      <div className="card-foot">
        <Editable {...field('notes')} />
        <CardActions {...{ title, isSelected, onDelete, onHistory }} />
      </div>
    </li>
  );
}

interface CardActionsProps extends Pick<AppointmentCardProps, 'isSelected' | 'onDelete' | 'onHistory'> {
  readonly title: string;
}

function CardActions({ title, isSelected, onDelete, onHistory }: CardActionsProps) {
  return (
    <div className="card-actions">
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
  );
}

function timeShown(value: string) {
  const time = timeInWords(value);
  if (time === null) return {};
  const { clock, day } = time;
  const shown = (
    <>
      <span className="clock">{clock}</span> <span className="day">{day}</span>
    </>
  );
  return { words: `${clock} ${day}`, shown };
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
