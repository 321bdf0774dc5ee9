/** Whether the server takes traffic, and why not (H4). */
import type { StoreState } from './store/store.js';

/** One thing that keeps the server from taking traffic. Anybody may read it: it names no path and no user. */
export interface Hindrance {
  readonly code:
    | 'STARTING'
    | 'MIGRATING'
    | 'STOPPING'
    | 'DISK_SLOW'
    | 'STORE_REOPENING'
    | 'STORE_CLOSED'
    | 'AUDIT_SLOW';
  readonly message: string;
}

const OF_STORE: { readonly [State in StoreState]: Hindrance | null } = {
  ready: null,
  slow: {
    code: 'DISK_SLOW',
    message:
      'The disk has not answered for DISK_SLOW, or the PostgreSQL of STORE for 5 s: look for a failing device, a full queue, a network disk or a database that is out of reach.',
  },
  reopening: {
    code: 'STORE_REOPENING',
    message: 'The store failed and is being reopened: the log has the reason; the disk may be full.',
  },
  closed: { code: 'STORE_CLOSED', message: 'The store is closed.' },
};
const STOPPING: Hindrance = { code: 'STOPPING', message: 'The server is stopping.' };
const STARTING: Hindrance = { code: 'STARTING', message: 'The server is starting: it opens its database.' };
const AUDIT_SLOW: Hindrance = {
  code: 'AUDIT_SLOW',
  message: 'A line of the audit trail has waited for its disk for DISK_SLOW: look at the disk of ACCESS_DIR.',
};

/** @param share from 0 to 1, of the documents that have the form which the server needs; null where that is all of them */
export function startingBy(share: number | null): Hindrance {
  if (share === null) return STARTING;
  const percent = Math.floor(share * 100);
  return {
    code: 'MIGRATING',
    message: `The database is encrypted, or gets the form of this version: ${percent} % of the documents are done. It goes on from there when the server is started anew.`,
  };
}

/** What somebody should look at though the server is ready. */
export interface Warning {
  readonly code: 'BACKUP_OLD' | 'CLOCK_DIFFERS';
  readonly message: string;
}

/** As far as the time of a token may be off: beyond it, what one server lets in another one does not, in ms. */
const CLOCK_TOLERANCE = 30_000;
/** Nothing that keeps a server from taking traffic: with the database's clock off, that would be every one at once. */
const CLOCK_DIFFERS: Warning = {
  code: 'CLOCK_DIFFERS',
  message:
    'The clock of this machine is more than 30 s off that of the PostgreSQL of STORE: set both by NTP; the log says by how much.',
};

const DAY = 86_400_000;
/** One of every night may be missing once. */
const BACKUP_DAYS = 2;

/** What warnings go by. */
export interface Signs {
  /** In ms since 1970; where none was ever made, other means may. */
  readonly lastBackup: number | null;
  readonly now: number;
  /** By how much the clock is ahead of that of the store, in ms. */
  readonly clockAhead: number;
}

/** Undefined where there are none. */
export function warningsOf({ lastBackup, now, clockAhead }: Signs): readonly Warning[] | undefined {
  const days = lastBackup === null ? 0 : Math.floor((now - lastBackup) / DAY);
  const found = [
    days < BACKUP_DAYS ? null : backupOld(days),
    Math.abs(clockAhead) <= CLOCK_TOLERANCE ? null : CLOCK_DIFFERS,
  ].filter((each) => each !== null);
  return found.length > 0 ? found : undefined;
}

const backupOld = (days: number): Warning => ({
  code: 'BACKUP_OLD',
  message: `The last good backup is ${days} days old: see docs/guides/BACKUP.md.`,
});

/** What is known of the parts of a server. */
export interface Parts {
  readonly takesTraffic: boolean;
  readonly storeState: StoreState;
  /** How long the audit trail has waited for its disk, in ms, and how long it may. */
  readonly auditWaits: number;
  readonly diskSlow: number;
}

/** Empty where the server is ready. */
export function hindrancesOf(parts: Parts): Hindrance[] {
  const { takesTraffic, storeState, auditWaits, diskSlow } = parts;
  const found = [
    takesTraffic ? null : STOPPING,
    OF_STORE[storeState],
    auditWaits < diskSlow ? null : AUDIT_SLOW,
  ];
  return found.filter((each) => each !== null);
}
