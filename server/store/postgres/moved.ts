import { SyncError } from '../../errors.js';
import { Moved } from '../store.js';

export { isMoved, Moved } from '../store.js';

export const moved = (): SyncError => new SyncError('STORE_UNAVAILABLE', undefined, { cause: new Moved() });
