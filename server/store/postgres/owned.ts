/** The users that this node owns: what is known of them, and who gets to claim, load or release one next. */
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { Vaults } from '../encryption/vault.js';
import { EMPTY_ROW } from '../format.js';
import type { Owner, Store } from '../store.js';
import { claimsOf } from './batch.js';
import { Moved, moved } from './moved.js';
import type { Told } from './node.js';
import type { Claim, Held } from './plan.js';
import { type DocumentRow, type Found, foundIn, rowOf, vaultOf } from './reading.js';
import type { Session } from './session.js';
import { CLAIM, KEPT, LOST, MISSING, OWNER, RELEASE } from './statements.js';

const NOBODY = '0';

/** The documents of this server. */
export type Documents = Parameters<NonNullable<Store['serve']>>[0];

export class Owned {
  readonly #session: Session;
  readonly #vaults: Vaults;
  readonly #held = new Map<UserId, Held>();
  #documents: Documents | null = null;
  #taken = 0;
  /** Of each user, what was begun last. */
  readonly #turns = new Map<UserId, Promise<unknown>>();

  constructor(session: Session, vaults: Vaults) {
    this.#session = session;
    this.#vaults = vaults;
  }

  get told(): Told {
    return { users: this.#held.size, taken: this.#taken };
  }

  get(user: UserId): Held | undefined {
    return this.#held.get(user);
  }

  serve(documents: Documents): void {
    this.#documents = documents;
  }

  /** The document is not in use any more. */
  forget(user: UserId): void {
    const held = this.#held.get(user);
    if (held !== undefined) held.isLoaded = false;
  }

  /** The document is about to be erased, which ends it. */
  drop(user: UserId): void {
    this.#held.delete(user);
  }

  /**
   * What is known of the user may not be what is stored. Another claim may follow, and would confirm what was loaded
   * under this one, so that must go.
   *
   * @param error left out where it is another server that has the user
   */
  lose(user: UserId, held = this.#held.get(user), error?: SyncError): void {
    if (held === undefined) return;
    held.lost ??= error ?? new SyncError('NOT_SAVED', undefined, { cause: new Moved() });
    if (this.#held.get(user) !== held) return;
    this.#held.delete(user);
    this.#documents?.lose(user, error);
  }

  isInUse(user: UserId): boolean {
    return this.#documents?.isInUse(user) ?? false;
  }

  loseAll(): void {
    for (const user of [...this.#held.keys()]) this.lose(user);
  }

  /** Lets go of those whom nobody here has used since the last time. */
  async letGoIdle(letGo: (user: UserId) => Promise<void>): Promise<void> {
    for (const [user, held] of [...this.#held]) {
      const isIdle = !held.isLoaded && !this.isInUse(user);
      if (isIdle && held.isIdle) await letGo(user);
      held.isIdle = isIdle;
    }
  }

  /** One after the other of each user: a claim ends the one before, the own node's too. */
  inTurn<T>(user: UserId, task: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(user) ?? Promise.resolve()).then(task, task);
    const ended = turn.then(
      () => {},
      () => {},
    );
    this.#turns.set(user, ended);
    void ended.then(() => {
      if (this.#turns.get(user) === ended) this.#turns.delete(user);
    });
    return turn;
  }

  /**
   * In the user's turn.
   *
   * @param relieved a node that loses the user in any case
   * @throws SyncError `STORE_UNAVAILABLE` with the cause `Moved`, where another node has the user
   */
  async claim(user: UserId, relieved = NOBODY): Promise<DocumentRow> {
    const values = [user, this.#session.node.id, relieved];
    const [answer] = await this.#session.connection.read({ name: 'claim', text: CLAIM, values });
    if (answer === undefined) throw moved();
    if (answer.was !== null && Number(answer.was) !== this.#session.node.id) this.#taken += 1;
    return rowOf(answer);
  }

  /** What was read under this claim; @throws SyncError where another node has claimed the user since. */
  hold(found: Found, { doc, claim }: Pick<Held, 'doc' | 'claim'>): Held {
    const { user, row } = found;
    if (row === null || row.doc !== doc || row.claim !== claim) throw moved();
    const known = this.#held.get(user);
    if (known?.claim === claim && known.doc === doc) return known;
    const { version, first, last, revision, historyFrom, memory, epoch } = row;
    const kept = { ...EMPTY_ROW, first, last, revision, historyFrom, memory, epoch };
    const held = {
      ...{ doc, claim, version, row: kept, isLoaded: false, lost: null, isIdle: false },
      vault: vaultOf(found, this.#vaults),
    };
    this.#held.set(user, held);
    return held;
  }

  /** Of a user who need not be loaded. */
  owned(user: UserId): Promise<Held> {
    const known = this.#held.get(user);
    return known
      ? Promise.resolve(known)
      : this.inTurn(user, async () => this.#held.get(user) ?? this.#own(user));
  }

  /** Returns whether it was claimed for this call: then it is this node's, and nobody need be asked. */
  async take(user: UserId, relieved?: string): Promise<boolean> {
    if (this.#held.has(user)) return false;
    return await this.inTurn(user, async () => {
      if (this.#held.has(user)) return false;
      await this.#own(user, relieved);
      return true;
    });
  }

  /** As a load does: one statement for both would read the moment before it had to wait for a commit of the last owner. */
  async #own(user: UserId, relieved?: string): Promise<Held> {
    const claim = await this.claim(user, relieved);
    const query = { name: 'kept', text: KEPT, values: [user, ['key']] };
    return this.hold(foundIn(user, await this.#session.connection.read(query)), claim);
  }

  /** Those of whom this node knows nothing are among them. */
  async lostOf(users: readonly UserId[]): Promise<readonly UserId[]> {
    const asked = new Map<number, UserId>();
    const held: Held[] = [];
    const lost: UserId[] = [];
    for (const user of users) {
      const known = this.#held.get(user);
      if (known === undefined) {
        lost.push(user);
        continue;
      }
      asked.set(known.doc, user);
      held.push(known);
    }
    if (held.length === 0) return lost;
    const values = [this.#session.node.id, ...claimsOf(held)];
    const answers = await this.#session.connection.read({ name: 'lost', text: LOST, values });
    return [...lost, ...answers.flatMap(({ doc }) => asked.get(Number(doc)) ?? [])];
  }

  /**
   * Over new connections, before anything is written: a standby that took over may not have what was stored last, and
   * gives the number of a new user to another one.
   */
  async loseMissing(): Promise<void> {
    const [users, held] = [[...this.#held.keys()], [...this.#held.values()]];
    if (held.length === 0) return;
    const values = [this.#session.node.id, ...claimsOf(held), users];
    const missing = await this.#session.connection.read({ text: MISSING, values });
    for (const { user_id } of missing) this.lose(user_id as UserId);
  }

  /** Which other node has the user; `null` where none has by now. */
  async ownerOf(user: UserId): Promise<Owner | null> {
    const [answer] = await this.#session.connection.read({ name: 'owner', text: OWNER, values: [user] });
    const node = String(answer?.id);
    if (answer === undefined || Number(node) === this.#session.node.id) return null;
    return { node, address: String(answer.address) };
  }

  /** Where the document is not in use; whoever asks next may have the user. */
  async release(user: UserId): Promise<void> {
    await this.inTurn(user, async () => {
      const held = this.#held.get(user);
      if (held === undefined || held.isLoaded) return;
      this.lose(user);
      await this.disown(held);
    });
  }

  async disown({ doc, claim }: Claim): Promise<void> {
    await this.#session.connection.read({ name: 'release', text: RELEASE, values: [doc, claim] });
  }
}
