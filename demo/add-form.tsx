import { type FormEvent, useEffect, useRef, useState } from 'react';
import { Icon } from '../web/icons.js';
import { FIELDS, today } from './appointments.js';

type Values = Readonly<Record<string, string>>;

interface AddFormProps {
  readonly device: string;
  readonly testId: string;
  readonly onAdd: (record: Values) => void;
}

const SHOWN = FIELDS.filter(({ name }) => name !== 'notes');

export function AddForm({ device, testId, onAdd }: AddFormProps) {
  const [open, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const close = () => {
    setOpen(false);
    requestAnimationFrame(() => opener.current?.focus());
  };
  const add = (values: Values) => {
    onAdd(values);
    close();
  };
  if (open) return <Form {...{ device, testId }} onAdd={add} onCancel={close} />;
  return (
    <button
      ref={opener}
      type="button"
      className="button add"
      data-testid={`${testId}-add`}
      onClick={() => setOpen(true)}
    >
      <Icon name="plus" size={16} /> Add appointment
    </button>
  );
}

function Form({ device, testId, onAdd, onCancel }: AddFormProps & { readonly onCancel: () => void }) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    onAdd({ ...values, status: 'booked', notes: '' });
  };
  return (
    <form
      ref={form}
      className="add-form"
      aria-label={`New appointment on the ${device.toLowerCase()}`}
      data-testid={`${testId}-add-form`}
      onSubmit={onSubmit}
      onKeyDown={({ key }) => key === 'Escape' && onCancel()}
    >
      {SHOWN.map(({ name, label, type }) => (
        <label key={name} className={`form-${name}`}>
          {label}
          <input
            name={name}
            type={type}
            required={name === 'patient'}
            defaultValue={name === 'time' ? `${today()}T12:00` : ''}
            autoComplete="off"
          />
        </label>
      ))}
      <div className="actions">
        <button type="submit" className="button primary">
          Save
        </button>
        <button type="button" className="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
