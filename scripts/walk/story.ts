import type { Call } from './trace.js';

/** A stay in one file: it is entered from another one, its functions call each other, and others are entered. */
export interface Stay {
  readonly file: string;
  /** Whether it goes on there with a function that was handed over, inside one that has not come to its end. */
  readonly goesOn: boolean;
  /** The functions entered meanwhile, each once, in the order of their first call. */
  readonly functions: string[];
  readonly stays: Stay[];
}

/** The calls as stays in files; what is done again, from the same place, is not told again. */
export function staysOf(calls: readonly Call[]): Stay[] {
  const stays: Stay[] = [];
  for (const call of calls) {
    const stay: Stay = { file: call.file, goesOn: goesOn(call), functions: [], stays: [] };
    follow(call, stay);
    unite(stays, stay);
  }
  return stays;
}

/** Whether a call is a part of one that it comes from: a function that one handed over, written inside it. */
function goesOn({ from, writtenIn }: Call): boolean {
  for (let call = from; call !== null; call = call.from) if (call === writtenIn) return true;
  return false;
}

function follow(call: Call, stay: Stay): void {
  if (call.name !== '' && !stay.functions.includes(call.name)) stay.functions.push(call.name);
  for (const next of call.calls) {
    if (next.file === stay.file) follow(next, stay);
    else for (const inner of staysOf([next])) unite(stay.stays, inner);
  }
}

function unite(stays: Stay[], stay: Stay): void {
  if (stays.some((known) => covers(known, stay))) return;
  const last = stays.at(-1);
  if (last?.file !== stay.file || last.goesOn !== stay.goesOn) {
    stays.push(stay);
    return;
  }
  last.functions.push(...stay.functions.filter((name) => !last.functions.includes(name)));
  for (const inner of stay.stays) unite(last.stays, inner);
}

/** Whether a stay has all that another one has. */
function covers(known: Stay, { file, goesOn, functions, stays }: Stay): boolean {
  return (
    known.file === file &&
    known.goesOn === goesOn &&
    functions.every((name) => known.functions.includes(name)) &&
    stays.every((inner) => known.stays.some((each) => covers(each, inner)))
  );
}

/** The files in the order in which they were entered first. */
export function filesOf(calls: readonly Call[]): string[] {
  const all = (call: Call): Call[] => [call, ...call.calls.flatMap(all)];
  const sorted = calls.flatMap(all).sort((a, b) => a.number - b.number);
  return [...new Set(sorted.map(({ file }) => file))];
}

/**
 * The calls into a file that waits, further up, for what it called, as `who calls → who waits`. Where a file goes
 * on with a function that it handed over, whoever was to run that is no longer above it.
 */
export function climbsOf(stays: readonly Stay[], above: readonly string[] = []): string[] {
  const climbs = stays.flatMap(({ file, goesOn, stays: inner }) => {
    const at = above.lastIndexOf(file);
    if (goesOn && at >= 0) return climbsOf(inner, above.slice(0, at + 1));
    const back = at < 0 ? [] : [`${above.at(-1)} → ${file}`];
    return [...back, ...climbsOf(inner, [...above, file])];
  });
  return [...new Set(climbs)];
}
