/** The operator's API, as docs/reference/ADMIN.md describes it. */
import type { Point } from '../server/last-hour.js';
import type { NodeState } from '../server/store/store.js';

export type { Point };

type Counts = Readonly<Record<string, number>>;

/** What there is now. */
export interface Now {
  readonly at: number;
  readonly uptime: number;
  readonly hindrances: readonly { readonly code: string; readonly message: string }[];
  readonly overloaded: boolean;
  readonly auth: 'jwt' | 'none';
  readonly connections: { readonly yjs: number; readonly json: number };
  readonly documents: { readonly inMemory: number; readonly asleep: number };
  readonly unsentBytes: number;
  readonly memory: { readonly process: number; readonly heap: number };
  readonly store: { readonly state: string; readonly commits: Counts };
  readonly disk: { readonly free: number; readonly size: number } | null;
  readonly certificate: { readonly validTo: number } | null;
  readonly refused: Counts;
  readonly checked: Counts;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly lastBackup: number | null;
  /** When the database was made of a backup; `null` where it was not. */
  readonly restoredAt: number | null;
  readonly damaged: readonly { readonly user: string; readonly reason: string; readonly at: number }[];
}

export interface Overview extends Now {
  readonly points: readonly Point[];
}

export interface NodeList {
  readonly now: number;
  readonly nodes: readonly NodeState[];
}

export interface User {
  readonly user: string;
  readonly revision: number | null;
  readonly bytes: number | null;
  readonly changedAt: number | null;
  readonly connections: number;
  readonly damaged: boolean;
}

export interface UserPage {
  readonly users: readonly User[];
  readonly next: string | null;
  readonly limit: number | null;
}

export interface Device {
  readonly device: string;
  readonly actor: string | null;
  readonly via: 'yjs' | 'json' | 'http';
  readonly app: string | null;
  readonly at: number;
  readonly connected: boolean;
  readonly behind: number | null;
  readonly unsent: {
    readonly count: number;
    readonly since: number | null;
    readonly toldAt: number;
    readonly until: number;
    readonly current: boolean;
  } | null;
  readonly sentAt: number | null;
}

/** A device as it was there for one user. */
export interface Visit extends Omit<Device, 'device'> {
  readonly user: string;
}

export interface DeviceUsers {
  readonly now: number;
  readonly restoredAt: number | null;
  readonly looked: number;
  readonly users: readonly Visit[];
  readonly next: string | null;
}

/** Devices since the database was made of a backup. */
export interface RestoredPage {
  readonly now: number;
  readonly looked: number;
  readonly back: number;
  readonly away: number;
  /** Of those that are away, by name. */
  readonly first: readonly (Pick<Device, 'device' | 'actor' | 'at'> & Pick<Visit, 'user'>)[];
  readonly next: string | null;
}

export interface DeviceList {
  readonly user: string;
  readonly now: number;
  readonly restoredAt: number | null;
  readonly limit: number;
  readonly devices: readonly Device[];
}

export type Fields = Readonly<Record<string, unknown>>;

export interface Entry {
  readonly revision: number;
  readonly collection: string;
  readonly id: string;
  readonly before: Fields | null;
  readonly after: Fields | null;
  readonly deviceId: string;
  readonly actor: string | null;
  readonly via: string;
  readonly at: number;
}

export interface Records {
  readonly revision: number;
  readonly collections: Readonly<Record<string, readonly Fields[]>>;
}

export interface HistoryPage {
  readonly entries: readonly Entry[];
  readonly next: number | null;
}

/** What the server answered instead: a status, and a sentence for people. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const BASE = '/admin/api';

interface Asked {
  readonly method?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export async function ask<Answer>(path: string, { method, body, signal }: Asked = {}): Promise<Answer> {
  const response = await fetch(BASE + path, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    }),
    ...(signal !== undefined && { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new Refusal(0, 'The server does not answer.');
  });
  if (response.status === 204) return undefined as Answer;
  const answer = await response.json().catch(() => ({ message: `The server answered ${response.status}.` }));
  if (!response.ok) throw new Refusal(response.status, String(answer.message));
  return answer as Answer;
}

export const pathOf = (user: string, rest = ''): string => `/users/${encodeURIComponent(user)}${rest}`;
export const exportUrl = (user: string): string => BASE + pathOf(user, '/export');

/** Where the server tells by itself: a WebSocket. */
export const liveUrl = (): string => `${location.origin.replace(/^http/, 'ws')}${BASE}/live`;
