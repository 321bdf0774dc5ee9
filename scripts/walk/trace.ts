import { AsyncLocalStorage } from 'node:async_hooks';
import { TRACER } from './instrument.js';

/** One call of a function of ours. */
export interface Call {
  readonly file: string;
  /** Empty for a function without a name, inside the one that it stands in. */
  readonly name: string;
  /** How many calls of the walk came before it. */
  readonly number: number;
  readonly from: Call | null;
  /** The call of the function that it is written in, if it is written in one. */
  readonly writtenIn: Call | undefined;
  /** Those that it made, in their order, and those of what it had begun and waited for. */
  readonly calls: Call[];
}

/** What was called on the way in, and on the way out: once what was to be stored is. */
export interface Walk {
  readonly wayIn: readonly Call[];
  readonly wayOut: readonly Call[];
}

interface Recording {
  readonly wayIn: Call[];
  readonly wayOut: Call[];
  readonly turn: Place;
  readonly known: Set<Call>;
  hasTurned: boolean;
}

export interface Place {
  readonly file: string;
  readonly name: string;
}

const context = new AsyncLocalStorage<Call>();
let recording: Recording | null = null;

/** A call belongs to the one that made it, also where an `await` or a promise lies between them. */
function enter<T>(file: string, name: string, writtenIn: Call | undefined, body: (call?: Call) => T): T {
  const current = recording;
  if (current === null) return body();
  const above = context.getStore();
  const from = above !== undefined && current.known.has(above) ? above : null;
  const call: Call = { file, name, number: current.known.size, from, writtenIn, calls: [] };
  current.known.add(call);
  (from?.calls ?? (current.hasTurned ? current.wayOut : current.wayIn)).push(call);
  const result = context.run(call, () => body(call));
  if (file === current.turn.file && name === current.turn.name && result instanceof Promise) {
    const turn = (): void => {
      current.hasTurned = true;
      current.known.clear();
    };
    result.then(turn, turn);
  }
  return result;
}

(globalThis as Record<string, unknown>)[TRACER] = enter;

/**
 * Records the calls that lead to the one that stores, and, once that has stored, all of the same side of the line.
 *
 * @param turn the function that stores: when its promise resolves, the way out begins
 */
export async function record(turn: Place, act: () => Promise<unknown>): Promise<Walk> {
  const made: Recording = { wayIn: [], wayOut: [], turn, known: new Set(), hasTurned: false };
  recording = made;
  await act().finally(() => {
    recording = null;
  });
  if (!made.hasTurned) throw new Error(`nothing was stored by ${turn.name} of ${turn.file}`);
  const side = /^\w+\//.exec(turn.file)?.[0] ?? '';
  const wayIn = made.wayIn.filter((call) => leadsTo(call, turn));
  return { wayIn, wayOut: made.wayOut.filter(({ file }) => file.startsWith(side)) };
}

const leadsTo = ({ file, name, calls }: Call, turn: Place): boolean =>
  (file === turn.file && name === turn.name) || calls.some((call) => leadsTo(call, turn));
