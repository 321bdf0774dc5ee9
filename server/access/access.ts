/** Who comes in, and where to (A1–A4): token → principal, revocation, the audit trail. */

import { SHARED_DOCUMENT, type UserId } from '../../shared/names.js';
import { type Config, ConfigError } from '../config.js';
import { SyncError } from '../errors.js';
import { AccessService } from './access-service.js';
import { Audit } from './audit.js';
import type { AuditEntry } from './audit-line.js';
import { accessPlaces } from './places.js';
import { ANYBODY, type Mode, modeByToken, type Principal } from './principal.js';
import { type Revocation, Revocations, type RevocationTimes, type SharedRevocations } from './revocations.js';
import { serviceAddress } from './service-address.js';
import { TokenReader, unauthorized } from './token.js';

export type { AuditEntry } from './audit-line.js';
export { actorOf, expiryOf, type Mode, modeByToken, type Principal } from './principal.js';
export { type Revocation, revocationSchema } from './revocations.js';

/** An access to the document of another user, as it is entered in the audit trail. */
export type Visit = Omit<AuditEntry, 'actor'>;

/** What the operator did; `user` is `*` where it is about all of them. */
export type Operation = Omit<AuditEntry, 'actor' | 'via' | 'failed'>;

/** Stands for the operator in the audit trail and in the history: no user has such a name. */
export const OPERATOR = '~operator' as UserId;
/** Stands for who did not get in as the operator. */
const NOBODY = '~nobody';

/** Where the audit trail stands. */
export interface Trail {
  readonly file: string;
  readonly lines: number;
  readonly hash: string;
}

/** What else the clock of the server tells: it may be wrong, and be set (P9). */
export interface AccessTimes extends RevocationTimes {
  readonly uptime: () => number;
}

/** Access that may be taken back while it is used. */
export interface Recheck {
  /** In ms. */
  readonly every: number;
  ask(): Promise<Mode | null>;
}

const JWT_OPTIONS = {
  JWT_SECRET: 'jwtSecret',
  JWT_PUBLIC_KEY: 'jwtPublicKey',
  JWT_JWKS_URL: 'jwtJwksUrl',
  ACCESS_URL: 'accessUrl',
} as const satisfies Record<string, keyof Config>;
const ADMIN_TOKEN = /^[\x21-\x7e]{16,}$/;

/** What reads the shared collections reads nobody's record, and the history says who changed them (D8). */
const isOfNobody = ({ user }: Visit): boolean => user === SHARED_DOCUMENT;

export class Access {
  readonly #reader: TokenReader | null;
  readonly #service: AccessService | null;
  readonly #config: Config;
  readonly #now: () => number;
  readonly #times: AccessTimes | undefined;
  readonly #listeners = new Set<() => void>();
  #revocations: Revocations | null = null;
  #audit: Audit | null = null;

  private constructor(
    reader: TokenReader | null,
    config: Config,
    now: () => number,
    times: AccessTimes | undefined,
  ) {
    this.#reader = reader;
    this.#service = config.accessUrl === '' ? null : serviceOf(config, times?.uptime ?? now);
    this.#config = config;
    this.#now = now;
    this.#times = times;
  }

  /**
   * Checks the options and reads the key; touches no file of `DATA_DIR`.
   *
   * @param times where the clock may be wrong
   * @throws ConfigError
   */
  static async create(config: Config, now: () => number, times?: AccessTimes): Promise<Access> {
    if (config.adminToken !== '' && !ADMIN_TOKEN.test(config.adminToken)) {
      throw new ConfigError(['ADMIN_TOKEN has to have at least 16 letters, digits or signs, and no spaces.']);
    }
    if (config.auth === 'jwt') return new Access(await TokenReader.open(config, now), config, now, times);
    const useless = Object.entries(JWT_OPTIONS).find(([, name]) => config[name] !== '');
    if (useless !== undefined) {
      throw new ConfigError([`${useless[0]} is set, but AUTH is none: set AUTH=jwt, or leave it out.`]);
    }
    return new Access(null, config, now, times);
  }

  /**
   * Opens what is kept on disk, in a folder that is this process's own by now. Resolves with where the audit trail
   * stands: who can write the file could write all of it anew, but not what the log has said before.
   *
   * @param shared of the store, where several servers share one
   */
  async open(shared?: SharedRevocations): Promise<Trail | null> {
    // Without tokens nobody has a name, but the operator may have one.
    if (this.#reader === null && this.#config.adminToken === '') return null;
    const { diskTimeout } = this.#config;
    const places = accessPlaces(this.#config);
    this.#revocations = await Revocations.open(places.revoked, this.#now, {
      patience: diskTimeout,
      times: this.#times,
      shared,
      onTaken: () => this.#tellRevoked(),
    });
    this.#audit = await Audit.open(places.audit, this.#now, diskTimeout);
    const { number, hash } = this.#audit.head;
    return { file: places.audit, lines: number, hash };
  }

  /**
   * Who the bearer of this token is; anybody, with AUTH=none.
   *
   * @throws SyncError `UNAUTHORIZED` or `ACCESS_UNAVAILABLE`; its cause says why, for the log
   */
  async identify(token: string | null): Promise<Principal> {
    if (this.#reader === null) return ANYBODY;
    if (token === null) throw unauthorized('There is no token.');
    const person = await this.#reader.read(token);
    if (this.isRevoked(person)) throw unauthorized('The token was revoked.');
    return person;
  }

  /**
   * What somebody may do with the document of a user, by the token, or else by the service at `ACCESS_URL`; `null` for
   * nothing.
   *
   * @throws SyncError `ACCESS_UNAVAILABLE`
   */
  async modeOf(principal: Principal, token: string | null, user: UserId): Promise<Mode | null> {
    const byToken = modeByToken(principal, user);
    return byToken ?? (await this.#byService(principal, token, user));
  }

  /** The same for somebody who has come in, after a while; `undefined` where the token itself says it. */
  recheckOf(principal: Principal, token: string | null, user: UserId): Recheck | undefined {
    if (modeByToken(principal, user) !== null) return undefined;
    return { every: this.#config.accessCache, ask: () => this.#byService(principal, token, user) };
  }

  async #byService(principal: Principal, token: string | null, user: UserId): Promise<Mode | null> {
    if (this.#service === null || token === null || principal.kind === 'anybody') return null;
    return await this.#service.modeOf(principal, token, user);
  }

  /**
   * To be called before a document is opened: resolves once an access to that of another user is in the audit trail;
   * what needs no line there may go on at once.
   *
   * @throws SyncError `UNAUTHORIZED` where the token has ended since it was read: a body may take its time to arrive
   */
  enter(principal: Principal, visit: Visit): Promise<void> | undefined {
    if (isOfNobody(visit) && this.#config.sharedCollections.size === 0) {
      throw new SyncError('NO_SHARED_COLLECTIONS');
    }
    if (principal.kind === 'anybody') return undefined;
    if (this.isRevoked(principal)) throw unauthorized('The token was revoked.');
    if (principal.expiresAt <= this.#now()) throw unauthorized('The token has expired.');
    if (principal.sub === visit.user || isOfNobody(visit)) return undefined;
    return this.#record({ actor: principal.sub, ...visit });
  }

  /** Resolves once it is in the audit trail: before that, nothing is to be done or shown. */
  async operated(operation: Operation): Promise<void> {
    if (this.#audit !== null) await this.#record({ actor: OPERATOR, ...operation, via: 'admin' });
  }

  /** Does it once it is in the audit trail; where it fails, a second line says so. */
  async performed<Result>(operation: Operation, perform: () => Promise<Result>): Promise<Result> {
    await this.operated(operation);
    try {
      return await perform();
    } catch (error) {
      const failed = error instanceof SyncError ? error.code : 'INTERNAL';
      await this.#audit?.record({ actor: OPERATOR, ...operation, via: 'admin', failed }).catch(() => {});
      throw error;
    }
  }

  /** Resolves when it is in the audit trail, or can't be: nobody gets in by that. */
  async refusedOperator(address: string): Promise<void> {
    const attempt = { user: '*', action: 'sign-in', via: 'admin', address, failed: 'UNAUTHORIZED' } as const;
    await this.#audit?.record({ actor: NOBODY, ...attempt }).catch(() => {});
  }

  async #record(entry: AuditEntry): Promise<void> {
    try {
      await this.#opened(this.#audit).record(entry);
    } catch (cause) {
      throw new SyncError('ACCESS_UNAVAILABLE', undefined, { cause });
    }
  }

  /** For how long the disk of the files has not answered, in ms. */
  get waitsFor(): number {
    return Math.max(this.#audit?.waitsFor ?? 0, this.#revocations?.waitsFor ?? 0);
  }

  isRevoked(principal: Principal): boolean {
    return principal.kind === 'person' && this.#opened(this.#revocations).has(principal);
  }

  /** Resolves once it is on disk, and holds at every server that shares the store. */
  async revoke(revocation: Revocation): Promise<void> {
    const saved = this.#opened(this.#revocations).add(revocation);
    this.#tellRevoked();
    await saved.catch((cause: unknown) => {
      throw new SyncError('ACCESS_UNAVAILABLE', undefined, { cause });
    });
  }

  #tellRevoked(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Calls back when tokens were revoked. */
  onRevoked(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** What is kept on disk; `null` with AUTH=none and no operator. */
  get kept(): { readonly audit: Audit; readonly revocations: Revocations } | null {
    const [audit, revocations] = [this.#audit, this.#revocations];
    return audit === null || revocations === null ? null : { audit, revocations };
  }

  async close(): Promise<void> {
    await this.#audit?.close();
    await this.#revocations?.close();
  }

  #opened<T>(part: T | null): T {
    if (part === null) throw new SyncError('ACCESS_UNAVAILABLE');
    return part;
  }
}

const serviceOf = ({ accessUrl, accessCache }: Config, uptime: () => number): AccessService =>
  new AccessService({ url: serviceAddress('ACCESS_URL', accessUrl), maxAge: accessCache, uptime });
