/** In which order the structs of an update can be integrated, found before Yjs sees it. */
import { malformed } from '../../protocol/bytes.js';
import { NONE, type Section, type StructTable } from '../../protocol/struct-table.js';

type Visit = (row: number, client: number) => void;
type StateOf = (client: number) => number;

/** Rows that are visited without a rest. */
const STEP = 512;
const RESTS = 'rests';

/**
 * Visits each row after those that it builds on. Of the update, nothing may be missing.
 *
 * @throws SyncError `MALFORMED_UPDATE` when structs wait for each other: Yjs would wait for ever
 */
export function inCausalOrder(table: StructTable, stateOf: StateOf, visit: Visit): void {
  const [only, second] = table.sections;
  // References to later clocks of the same client are refused by the scan: one client alone is in order.
  if (only !== undefined && second === undefined) {
    for (let row = only.from; row < only.to; row++) visit(row, only.client);
  } else {
    const steps = causalSteps(table, stateOf, visit);
    while (steps.next().done !== true);
  }
}

/** The same, with a rest now and then. */
export const causalSteps = (table: StructTable, stateOf: StateOf, visit: Visit): Generator<void> =>
  new CausalWalk(table, stateOf, visit).steps();

/** One client whose structs are passed until its clock `until` is reached. */
interface Task {
  readonly section: number;
  readonly until: number;
}

class CausalWalk {
  readonly #table: StructTable;
  readonly #visit: Visit;
  readonly #sectionOf = new Map<number, number>();
  /** Per section: its next row, and the clock up to which the client is known. */
  readonly #next: number[];
  readonly #known: number[];
  readonly #isWaiting: boolean[];
  #passed = 0;

  constructor(table: StructTable, stateOf: StateOf, visit: Visit) {
    this.#table = table;
    this.#visit = visit;
    table.sections.forEach(({ client }, index) => void this.#sectionOf.set(client, index));
    this.#next = table.sections.map(({ from }) => from);
    this.#known = table.sections.map(({ client }) => stateOf(client));
    this.#isWaiting = table.sections.map(() => false);
  }

  *steps(): Generator<void> {
    for (let index = 0; index < this.#next.length; index++) {
      const stack: Task[] = [{ section: index, until: Number.POSITIVE_INFINITY }];
      for (let task = stack.at(-1); task !== undefined; task = stack.at(-1)) {
        const blocker = this.#advance(task);
        if (blocker === RESTS) {
          this.#passed = 0;
          yield;
          continue;
        }
        this.#isWaiting[task.section] = blocker !== null;
        if (blocker === null) stack.pop();
        else if (this.#isWaiting[blocker.section] === true)
          malformed('The update refers to itself in a circle.');
        else stack.push(blocker);
      }
    }
  }

  /** Passes rows until the task is done, or a row needs another client first, which is returned, or a rest is due. */
  #advance({ section, until }: Task): Task | typeof RESTS | null {
    const { client, to } = this.#table.sections[section] as Section;
    for (let row = this.#next[section] as number; row < to; row++) {
      this.#next[section] = row;
      if ((this.#known[section] as number) > until) return null;
      const blocker = this.#blocker(row, client);
      if (blocker !== null) return blocker;
      if (this.#passed++ === STEP) return RESTS;
      this.#visit(row, client);
      const end = this.#table.clock(row) + this.#table.lengthOf(row);
      this.#known[section] = Math.max(this.#known[section] as number, end);
    }
    this.#next[section] = to;
    return null;
  }

  #blocker(row: number, client: number): Task | null {
    const table = this.#table;
    return (
      this.#missing(table.firstClient(row), table.firstClock(row), client) ??
      this.#missing(table.secondClient(row), table.secondClock(row), client)
    );
  }

  #missing(client: number, clock: number, own: number): Task | null {
    if (clock === NONE || client === own) return null;
    const section = this.#sectionOf.get(client);
    if (section === undefined || (this.#known[section] as number) > clock) return null;
    return this.#next[section] === this.#table.sections[section]?.to ? null : { section, until: clock };
  }
}
