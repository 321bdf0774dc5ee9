import { useSyncedData } from '../../../client/react/index.js';

export function Rooms() {
  const { data, updateData } = useSyncedData('appointments');
  return data.map(({ id, patient, room }) => (
    <button key={id} type="button" onClick={() => updateData(id, { room: '7' })}>
      {String(patient)}: room {String(room)}
    </button>
  ));
}
