import type { ClientError } from '../errors.js';
import type { Platform } from '../platform/platform.js';
import type { PresenceLink } from '../presence/presence.js';
import type { ConnectionState } from '../status.js';
import type { SyncSource } from './sync-source.js';

/** What a connection says of itself; a new object at each change. */
export interface ConnectionReport {
  readonly connection: Exclude<ConnectionState, 'closed'>;
  /** A sentence for people, or null. */
  readonly reason: string | null;
  /** Left out until everything was in step with the server once, since this connection was made. */
  readonly lastSyncedAt?: number;
  /** Everything that the server had has come; what is pending here is another question. */
  readonly hasReceived?: true;
  /** The last failure; null once an attempt has succeeded. */
  readonly error: ClientError | null;
}

export interface ConnectionOptions {
  readonly source: SyncSource;
  /** `http://host:3001` or `https://…`. */
  readonly serverUrl: string;
  readonly userId: string;
  readonly deviceId: string;
  /** The version of the app, for the operator of the server. */
  readonly appVersion?: string | undefined;
  /** Called anew for each attempt; null for no token. */
  readonly getToken?: (() => string | null | Promise<string | null>) | undefined;
  readonly platform: Pick<Platform, 'WebSocket' | 'fetch' | 'clock' | 'connectivity' | 'random' | 'newId'>;
  /** The server refused a change a moment ago: before a socket opens, HTTP finds out whether it refuses others. */
  readonly searchesRefused?: boolean | undefined;
  readonly presence?: PresenceLink | undefined;
  /** Everything is in step: the server has what was pending, and what it had is here. Told before the report. */
  readonly onSynced?: (() => void) | undefined;
  /**
   * The server has written the document anew, without anything that the source has (P10). Where it returns true, this
   * connection is of no further use; else it is tried again, slowly.
   */
  readonly onRewritten?: (() => boolean) | undefined;
  readonly onChange: (report: ConnectionReport) => void;
}
