import { SyncError } from '../../errors.js';

/** The cause of what a node is refused that has lost a user to another one. */
export class Moved extends Error {
  constructor() {
    super('another node has the user');
  }
}

export const moved = (): SyncError => new SyncError('STORE_UNAVAILABLE', undefined, { cause: new Moved() });

export const isMoved = (error: unknown): boolean =>
  error instanceof SyncError && error.cause instanceof Moved;
