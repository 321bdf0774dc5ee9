import { useRecord, useSyncClient } from '../../../client/react/index.js';

// A text that an editor made as Y.Text is merged by word; of any other string, the later one stays.
export function Instructions({ id }: { readonly id: string }) {
  const client = useSyncClient();
  const record = useRecord('prescriptions', id);
  const save = (instructions: string) => client.updateData('prescriptions', id, { instructions });
  return (
    <textarea value={String(record?.instructions ?? '')} onChange={({ target }) => save(target.value)} />
  );
}
