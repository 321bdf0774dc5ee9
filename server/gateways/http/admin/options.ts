/** What the operator's side knows beyond what devices may ask for. */
import type { DeviceId, UserId } from '../../../../shared/names.js';
import type { DamagedDocuments } from '../../../damaged-documents.js';
import type { ConnectedDevice } from '../../../documents/seen-devices.js';
import type { Point } from '../../../last-hour.js';
import type { Store } from '../../../store/store.js';
import type { AdminGuard } from '../../guard/admin-guard.js';
import type { HttpOptions } from '../request.js';

/** Where the pages of the operator are told by themselves: a WebSocket. */
export const OPERATOR_LIVE = '/admin/api/live';

export interface OperatorSources {
  readonly store: Pick<Store, 'state' | 'users' | 'rest' | 'nodes'>;
  readonly lastHour: {
    readonly points: readonly Point[];
    onPoint(listener: (point: Point | null) => void): () => void;
  };
  readonly connections: () => Readonly<Record<'yjs' | 'json', number>>;
  /** Bytes that wait for slow readers. */
  readonly unsent: () => number;
  /** The devices of a user that are connected now, each as often as it is. */
  readonly connectedDevices: (user: UserId) => readonly ConnectedDevice[];
  /** The same of one device, by the users whom it is connected as. */
  readonly connectedAs: (device: DeviceId) => ReadonlyMap<UserId, readonly ConnectedDevice[]>;
  readonly damaged: Pick<DamagedDocuments, 'first' | 'has'>;
  /** How many connections follow the document of each user that has any. */
  readonly connectedBy: () => ReadonlyMap<UserId, number>;
}

export interface AdminOptions extends HttpOptions {
  readonly operator: OperatorSources;
  readonly guard: AdminGuard;
}
