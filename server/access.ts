/** Who comes in, and where to (A1–A4): token → principal, revocation, the audit trail. */
import { SyncError } from '../shared/errors.js';
import { Audit } from './access/audit.js';
import type { AuditEntry } from './access/audit-line.js';
import { accessPlaces } from './access/places.js';
import { ANYBODY, type Principal } from './access/principal.js';
import { type Revocation, Revocations, type RevocationTimes } from './access/revocations.js';
import { TokenReader, unauthorized } from './access/token.js';
import { type Config, ConfigError } from './config.js';

export type { AuditEntry } from './access/audit-line.js';
export { actorOf, expiryOf, type Mode, may, type Principal } from './access/principal.js';
export { type Revocation, revocationSchema } from './access/revocations.js';

/** An access to the document of another user, as far as the door knows it. */
export type Visit = Omit<AuditEntry, 'actor'>;

/** Where the audit trail stands. */
export interface Trail {
  readonly file: string;
  readonly lines: number;
  readonly hash: string;
}

const JWT_OPTIONS = {
  JWT_SECRET: 'jwtSecret',
  JWT_PUBLIC_KEY: 'jwtPublicKey',
  JWT_JWKS_URL: 'jwtJwksUrl',
} as const satisfies Record<string, keyof Config>;
const ADMIN_TOKEN = /^[\x21-\x7e]{16,}$/;

export class Access {
  readonly #reader: TokenReader | null;
  readonly #config: Config;
  readonly #now: () => number;
  readonly #times: RevocationTimes | undefined;
  readonly #listeners = new Set<() => void>();
  #revocations: Revocations | null = null;
  #audit: Audit | null = null;

  private constructor(
    reader: TokenReader | null,
    config: Config,
    now: () => number,
    times: RevocationTimes | undefined,
  ) {
    this.#reader = reader;
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
  static async create(config: Config, now: () => number, times?: RevocationTimes): Promise<Access> {
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
   */
  async open(): Promise<Trail | null> {
    if (this.#reader === null) return null;
    const { diskTimeout } = this.#config;
    const places = accessPlaces(this.#config);
    this.#revocations = await Revocations.open(places.revoked, this.#now, {
      patience: diskTimeout,
      times: this.#times,
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
    if (token === null) throw unauthorized('there is no token');
    const person = await this.#reader.read(token);
    if (this.isRevoked(person)) throw unauthorized('the token is revoked');
    return person;
  }

  /**
   * To be called before a document is opened: resolves once an access to that of another user is in the audit trail.
   *
   * @throws SyncError `UNAUTHORIZED` where the token has ended since it was read: a body may take its time to arrive
   */
  async enter(principal: Principal, visit: Visit): Promise<void> {
    if (principal.kind === 'anybody') return;
    if (this.isRevoked(principal)) throw unauthorized('the token is revoked');
    if (principal.expiresAt <= this.#now()) throw unauthorized('the token has expired');
    if (principal.sub === visit.user) return;
    try {
      await this.#opened(this.#audit).record({ actor: principal.sub, ...visit });
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

  /** Resolves once it is on disk. */
  async revoke(revocation: Revocation): Promise<void> {
    const saved = this.#opened(this.#revocations).add(revocation);
    for (const listener of this.#listeners) listener();
    await saved.catch((cause: unknown) => {
      throw new SyncError('ACCESS_UNAVAILABLE', undefined, { cause });
    });
  }

  /** Calls back when tokens were revoked. */
  onRevoked(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** What is kept on disk; `null` with AUTH=none. */
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
