import {
  createSyncedHook,
  useCustomSyncedData,
  useSyncedAdminNotifications,
  useSyncedAdminUsers,
  useSyncedRegistrationRequests,
  useSyncedSystemStats,
} from '../../../../client/compat/index.js';
import { approve, type RegistrationRequest } from './requests.js';

const useSyncedWards = createSyncedHook('wards');

export function AdminScreen() {
  const requests = useSyncedRegistrationRequests<RegistrationRequest>([]);
  const rooms = useCustomSyncedData<{ id: string; floor: number }>('rooms', []);
  const wards = useSyncedWards<{ id: string }>();
  const others = [useSyncedAdminUsers(), useSyncedSystemStats(), useSyncedAdminNotifications()];
  return (
    <section>
      {requests.data.map(({ id, name, status }) => (
        <button key={id} id={id} type="button" onClick={() => approve(id)}>
          {name}: {status}
        </button>
      ))}
      <p>
        {rooms.data.map(({ floor }) => `floor ${floor}`)} {wards.data.length} wards{' '}
        {others.filter(({ data }) => data.length > 0).length} others {requests.syncStatus.pendingChanges}{' '}
        pending
      </p>
      <button id="room" type="button" onClick={() => void rooms.addData({ id: 'r', floor: 4 })}>
        Room
      </button>
    </section>
  );
}
