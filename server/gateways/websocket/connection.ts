/** What is known of one open WebSocket, from the upgrade on. */
import type { Following } from '../../documents/sleep/followed-documents.js';
import type { SharedAccess } from '../guard/shared-access.js';
import type { JsonSession } from '../json/session.js';
import type { YjsSession } from '../yjs/session.js';
import type { Peer } from './handshake.js';
import type { Wire } from './wire.js';

/** How long an upgrade waits for what is looked up, in ms: a client that hears nothing would give up in the end. */
const LOOK_UP = 250;
export type Session = YjsSession | JsonSession;
/** What was found of a document without loading it. */
export type Found = Following | null | Promise<Following | null>;

/** A client that may come in. */
export interface Guest {
  readonly peer: Peer;
  readonly found: Found;
}

export interface Connection {
  readonly peer: Peer;
  readonly wire: Wire;
  session: Session | null;
  /** The user's document, and the shared one, once they are open; before, what is looked up of it. */
  lease: Found;
  shared: SharedAccess | null;
  /** Nothing more is taken from it. */
  isShut: boolean;
  expiry: NodeJS.Timeout | undefined;
  /** Ends it where its document does not come in time. */
  late: NodeJS.Timeout | undefined;
  /** When its access was last asked for. */
  checkedAt: number;
}

export const connectionOf = ({ peer, found }: Guest, wire: Wire, checkedAt: number): Connection => ({
  peer,
  wire,
  session: null,
  lease: found,
  shared: null,
  isShut: false,
  expiry: undefined,
  late: undefined,
  checkedAt,
});

/** Lets go of the documents, as far as they are open; each may be released more than once. */
export function release({ lease, shared }: Pick<Connection, 'lease' | 'shared'>): void {
  if (lease instanceof Promise) void lease.then((found) => found?.release());
  else lease?.release();
  shared?.release();
}

/** Waits a moment for what is looked up; where it takes longer, the upgrade is answered, and the rest waits. */
export async function soon(lookUp: Promise<Following | null>): Promise<Found[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LOOK_UP);
  });
  const found = await Promise.race([lookUp, late]).finally(() => clearTimeout(timer));
  return [found === undefined ? lookUp : found];
}
