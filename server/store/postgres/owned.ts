/** The users that this node owns: what is known of them, and who gets to claim, load or release one next. */
import type { UserId } from '../../../shared/names.js';
import type { Vaults } from '../encryption/vault.js';
import { EMPTY_ROW } from '../format.js';
import type { Owner } from '../store.js';
import { moved } from './moved.js';
import type { Claim, Held } from './plan.js';
import { type DocumentRow, type Found, foundIn, rowOf, vaultOf } from './reading.js';
import type { Session } from './session.js';
import { CLAIM, KEPT, OWNER, RELEASE } from './statements.js';

const NOBODY = '0';

export class Owned {
  readonly #session: Session;
  readonly #vaults: Vaults;
  readonly #held = new Map<UserId, Held>();
  /** Of each user, what was begun last. */
  readonly #turns = new Map<UserId, Promise<unknown>>();

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
      this.#held.delete(user);
      await this.disown(held);
    });
  }

  async disown({ doc, claim }: Claim): Promise<void> {
    await this.#session.connection.read({ name: 'release', text: RELEASE, values: [doc, claim] });
  }
}
