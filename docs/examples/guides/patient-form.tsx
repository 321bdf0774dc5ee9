/** A form over a record that others may change meanwhile: docs/guides/FORMS.md. */
import { type FormEvent, useState } from 'react';
import { useDraft } from 'telemed-sync/react';

export function PatientForm({ id }: { id: string }) {
  const { draft, change, save, discard, isDirty, isLoading, conflicts } = useDraft('patients', id);
  const [failure, setFailure] = useState('');

  if (draft === null) return <p>{isLoading ? 'Loading' : 'This patient does not exist.'}</p>;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    save().then(
      () => setFailure(''),
      (error: Error) => setFailure(error.message), // what was typed is still in the form
    );
  };

  return (
    <form onSubmit={submit}>
      <label>
        Phone
        <input
          name="phone"
          value={String(draft.phone ?? '')}
          onChange={(event) => change({ phone: event.target.value })}
        />
      </label>
      {conflicts.includes('phone') && <p>Somebody else changed the phone number meanwhile.</p>}
      {failure && <p role="alert">{failure}</p>}
      <button type="submit" disabled={!isDirty}>
        Save
      </button>
      <button type="button" onClick={discard} disabled={!isDirty}>
        Cancel
      </button>
    </form>
  );
}
