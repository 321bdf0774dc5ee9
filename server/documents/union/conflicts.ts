/** What the server writes where changes met that knew nothing of each other: unions (D4), and the later value (D3). */
import type * as Y from 'yjs';
import { Decisions } from '../later-wins/decisions.js';
import { type LastChangeOf, LaterWins } from '../later-wins/later-wins.js';
import { type Lost, lostIn } from '../later-wins/lost-images.js';
import { type MadeAt, ON_ARRIVAL } from '../later-wins/made-at.js';
import { lastIdOf } from './lost-types.js';
import { Slots, type Step } from './step.js';
import { Unifier } from './unifier.js';
import { encodeMemory, type ReplicaMemory } from './union-state.js';
import type { UnionContext } from './unite.js';

/** What is to be written once the transaction of an update has ended. */
export interface Resolution {
  readonly lost: readonly Lost[];
  /** Writes with this client id. */
  write(client: number): void;
}

export class Conflicts {
  readonly unifier: Unifier;
  readonly #decisions: Decisions;
  readonly #laterWins: LaterWins;

  constructor(doc: Y.Doc, memory: ReplicaMemory, now: () => number, lastChangeOf: LastChangeOf) {
    this.unifier = new Unifier(doc, memory, now);
    this.#decisions = new Decisions(doc, memory.decisions, now);
    this.#laterWins = new LaterWins(this.#decisions, lastChangeOf);
  }

  /** Nothing is kept that the next change could have to do with, unless it brings or deletes more than plain values. */
  get isQuiet(): boolean {
    return this.unifier.keepsNothing;
  }

  /** Lets go of what was remembered before `before`. */
  prune(before: number): void {
    this.unifier.prune(before);
    this.#decisions.prune(before);
  }

  /** Whether the memory changed since the last call. */
  takeChanged(): boolean {
    return [this.unifier.takeChanged(), this.#decisions.takeChanged()].includes(true);
  }

  memory(): Uint8Array {
    return encodeMemory({ ...this.unifier.memory(), decisions: this.#decisions.list() });
  }

  /** To be called while the transaction ends, when everything that it deleted can still be read. */
  resolve(step: Step, madeAt: MadeAt): Resolution {
    const outcomes = this.#laterWins.plan(step, madeAt);
    const decided = new Slots();
    for (const { parent, key } of outcomes) decided.add(parent, key);
    const isTimed = madeAt !== null && madeAt !== ON_ARRIVAL;
    const inMoved = this.#laterWins.inMoved(step, madeAt);
    const unions = this.unifier.plan(step, decided, {
      ...(isTimed && { editStays: this.#laterWins.editStays(step, madeAt) }),
      overruled: inMoved.items,
    });
    for (const { kept } of outcomes) if (kept !== null) this.unifier.keep(kept);
    const writes = [...unions, ...outcomes.map((outcome) => () => this.#laterWins.write(outcome))];
    const write = (client: number) => this.unifier.run(writes, client, this.#known(step, madeAt));
    return {
      lost: lostIn([...outcomes, ...inMoved.lost]),
      write: writes.length > 0 ? write : () => {},
    };
  }

  /** What a union can know: what was created apart is united by the times where both are known. */
  #known(step: Step, madeAt: MadeAt): Omit<UnionContext, 'madeByUnion' | 'kept' | 'isCopy' | 'isInCopy'> {
    const isTimed = madeAt !== null && madeAt !== ON_ARRIVAL;
    return {
      arrived: step.arrived,
      later: (parent, key, isIncoming) => {
        if (isIncoming) return isTimed ? this.#laterWins.compare(parent, key, madeAt) : 'open';
        return isTimed || this.#laterWins.isKnown(parent, key) ? 'standing' : 'open';
      },
      stood: ({ _item: item }) => item !== null && (!item.deleted || step.deleted(item)),
      knew: (incoming, stood) => this.#laterWins.knew(incoming, stood, step),
      copied: (copy, of) => this.#decisions.add(lastIdOf(copy), of, null),
    };
  }
}
