/** The users that this node owns: what is known of them, and who gets to claim, load or release one next. */
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { Vaults } from '../encryption/vault.js';
import { EMPTY_ROW } from '../format.js';
import { GroupReader } from '../group-reader.js';
import type { Owner } from '../store.js';
import { int8s } from './arrays.js';
import { Moved, moved } from './moved.js';
import type { Held } from './plan.js';
import { type DocumentRow, type Found, foundIn, rowOf, vaultOf } from './reading.js';
import type { Session } from './session.js';
import { CLAIM, CONFIRM, KEPT, OWNER, RELEASE } from './statements.js';

const NOBODY = '0';

export class Owned {
  readonly #session: Session;
  readonly #vaults: Vaults;
  readonly #held = new Map<UserId, Held>();
  /** Of each user, what was begun last. */
  readonly #turns = new Map<UserId, Promise<unknown>>();
  readonly #confirming = new GroupReader<Held, boolean>((held) => this.#confirmAll(held));

  constructor(session: Session, vaults: Vaults) {
    this.#session = session;
    this.#vaults = vaults;
  }

  get(user: UserId): Held | undefined {
    return this.#held.get(user);
  }

  /** What is known of the user may not be what is stored. */
  drop(user: UserId, held = this.#held.get(user)): void {
    if (this.#held.get(user) === held) this.#held.delete(user);
  }

  clear(): void {
    this.#held.clear();
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
      ...{ doc, claim, version, row: kept, isLoaded: false },
      vault: vaultOf(found, this.#vaults),
    };
    this.#held.set(user, held);
    return held;
  }

  /** Of a user who need not be loaded. */
  owned(user: UserId, relieved?: string): Promise<Held> {
    const known = this.#held.get(user);
    return known ? Promise.resolve(known) : this.inTurn(user, () => this.#own(user, relieved));
  }

  async #own(user: UserId, relieved?: string): Promise<Held> {
    const known = this.#held.get(user);
    if (known !== undefined) return known;
    const claim = await this.claim(user, relieved);
    const query = { name: 'kept', text: KEPT, values: [user, ['key']] };
    return this.hold(foundIn(user, await this.#session.connection.read(query)), claim);
  }

  /** Rejects where another node has written since, or may have; asks after the call. */
  async confirm(user: UserId, relieved?: string): Promise<void> {
    const held = await this.owned(user, relieved);
    if (await this.#confirming.read(held)) return;
    this.drop(user, held);
    throw moved();
  }

  async owner(user: UserId, relieved?: string): Promise<Owner | null> {
    try {
      await this.confirm(user, relieved);
      return null;
    } catch (error) {
      if (!(error instanceof SyncError && error.cause instanceof Moved)) throw error;
      const query = { name: 'owner', text: OWNER, values: [user] };
      const [answer] = await this.#session.connection.read(query);
      const node = String(answer?.id);
      if (answer === undefined || Number(node) === this.#session.node.id) throw error; // it changes just now
      return { node, address: String(answer.address) };
    }
  }

  /** Where the document is not in use; whoever asks next may have the user. */
  async release(user: UserId): Promise<void> {
    await this.inTurn(user, async () => {
      const held = this.#held.get(user);
      if (held === undefined || held.isLoaded) return;
      this.#held.delete(user);
      const values = [held.doc, held.claim];
      await this.#session.connection.read({ name: 'release', text: RELEASE, values });
    });
  }

  async #confirmAll(held: readonly Held[]): Promise<boolean[]> {
    const arrays = [
      int8s(held.map(({ doc }) => doc)),
      int8s(held.map(({ claim }) => claim)),
      int8s(held.map(({ version }) => version)),
    ];
    const values = [this.#session.node.id, ...arrays];
    const answers = await this.#session.connection.read({ name: 'confirm', text: CONFIRM, values });
    const still = new Set(answers.map(({ doc }) => Number(doc)));
    return held.map(({ doc }) => still.has(doc));
  }
}
