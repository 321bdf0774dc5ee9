import { type FormEvent, useRef } from 'react';
import type { SyncRecord } from '../client/index.js';
import { useSyncedData } from '../client/react/index.js';
import { Icon } from '../web/icons.js';
import { inWords, textOf, titleOf } from './appointments.js';
import { Editable } from './editable.js';
import { CHART, PRESCRIPTION, TEXT } from './samples.js';

interface ChartProps {
  /** Of the device, as it begins the ids of what it shows. */
  readonly name: string;
  readonly onWrite: (change: Promise<unknown>) => void;
}

type Save = (changes: Readonly<Record<string, unknown>>) => void;

/** Beside appointments: a list (allergies), and a text that many write in (instructions). */
export function Chart({ name, onWrite }: ChartProps) {
  const charts = useSyncedData(CHART.collection);
  const prescriptions = useSyncedData(PRESCRIPTION.collection);
  if (charts.data.length + prescriptions.data.length === 0) return null;
  return (
    <section className="chart" aria-label={`Charts on the ${name}`}>
      <h3>Charts</h3>
      {charts.data.map((record) => (
        <Allergies
          key={String(record.id)}
          record={record}
          onSave={(changes) => onWrite(charts.updateData(record.id, changes))}
        />
      ))}
      {prescriptions.data.map((record) => (
        <Prescription
          key={String(record.id)}
          record={record}
          onSave={(changes) => onWrite(prescriptions.updateData(record.id, changes))}
        />
      ))}
    </section>
  );
}

interface PartProps {
  readonly record: SyncRecord;
  readonly onSave: Save;
}

function Allergies({ record, onSave }: PartProps) {
  const allergies: readonly unknown[] = Array.isArray(record.allergies) ? record.allergies : [];
  const input = useRef<HTMLInputElement>(null);
  const add = (event: FormEvent) => {
    event.preventDefault();
    const allergy = input.current?.value.trim() ?? '';
    if (allergy === '') return;
    onSave({ allergies: [...allergies, allergy] });
    if (input.current !== null) input.current.value = '';
  };
  const patient = titleOf(record);
  return (
    <div className="chart-card" data-testid="allergies">
      <h4>Allergies of {patient}</h4>
      <ul className="allergies">
        {allergies.map(inWords).map((allergy) => (
          <li key={allergy} className="allergy flash">
            {allergy}
            <button
              type="button"
              aria-label={`Remove ${allergy}`}
              onClick={() => onSave({ allergies: allergies.filter((each) => inWords(each) !== allergy) })}
            >
              <Icon name="close" size={13} />
            </button>
          </li>
        ))}
      </ul>
      <form className="allergy-form" onSubmit={add}>
        <input
          ref={input}
          aria-label={`Add an allergy of ${patient}`}
          placeholder="Add an allergy"
          autoComplete="off"
        />
        <button type="submit" className="button small">
          Add
        </button>
      </form>
    </div>
  );
}

const FIELDS = [
  ['dose', 'Dose'],
  ['repeats', 'Repeats'],
] as const;

function Prescription({ record, onSave }: PartProps) {
  return (
    <div className="chart-card" data-testid="prescription">
      <h4>
        {textOf(record, 'medicine') || 'Prescription'} for {titleOf(record)}
      </h4>
      <div className="prescription-line">
        {FIELDS.map(([field, label]) => (
          <span key={field} className="card-part">
            <span className="card-label">{label}</span>
            <Editable
              label={label}
              hint="not set"
              value={textOf(record, field)}
              onSave={(value) => onSave({ [field]: value })}
              testId={`field-${field}`}
            />
          </span>
        ))}
      </div>
      <label className="instructions">
        Instructions
        <textarea
          rows={3}
          value={textOf(record, TEXT)}
          data-testid={`field-${TEXT}`}
          onChange={({ target }) => onSave({ [TEXT]: target.value })}
        />
      </label>
    </div>
  );
}
