/** Calls of docs/reference/CLIENT.md that need something around them. */
import { syncManager } from 'telemed-sync';

export async function saveForm(id: string, phone: string): Promise<void> {
  const base = (await syncManager.getLocalData('patients', id)) ?? undefined; // when the form is opened
  await syncManager.updateData('patients', id, { ...base, phone }, { base }); // when it is saved
}

export function watch(): () => void {
  const stop = syncManager.subscribe('appointments', (event) => {
    if (event.operation === 'sync')
      console.log(event.data.length); // all records
    else console.log(event.operation, event.data.id); // 'add', 'update', 'delete': one record
  });
  return stop;
}

export function refusedChanges() {
  const { refused } = syncManager.status.current; // or useSyncStatus(({ refused }) => refused)
  // [{ key: 'mx1m6ykw-61', collection: 'notes', id: 'n1', code: 'DOCUMENT_FULL', reason: 'The document is …', at: 1795943169680 }]
  return refused;
}

export async function guestSignsIn(): Promise<void> {
  await syncManager.moveTo('anna'); // was: 'guest-1'
}
