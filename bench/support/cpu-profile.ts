/** What a CPU profile of V8 says: how much of the time each function took, alone and with all that it called. */
import type { Profiler } from 'node:inspector';

export interface FunctionTime {
  readonly name: string;
  /** Where it is written: `server/store/level/plan.ts`, `ws`, `node`; of what V8 has built in, who called it. */
  readonly part: string;
  /** Shares of the time in which the thread was not idle. */
  readonly self: number;
  readonly total: number;
}

type Node = Profiler.ProfileNode;

const IDLE = '(idle)';
/** Of the inspector, in which V8 begins and ends the profile itself. */
const OBSERVER = 'dispatch';
/** Behind the name of a function that is not written in JavaScript. */
export const BUILT_IN = ' (native)';
/** What is no function: where the thread was when it was in none. */
const OUTSIDE: ReadonlySet<string> = new Set(['(garbage collector)', '(program)', '(root)', IDLE]);

/** All functions, the one that took most alone first. */
export function functionTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): FunctionTime[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const took = new Map<number, number>();
  for (const [index, id] of samples.entries()) took.set(id, (took.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  const times = new Map<string, { name: string; part: string; self: number; total: number }>();
  let busy = 0;
  for (const [id, time] of took) {
    const path = pathOf(id, byId, parents);
    const names = path.map((_, depth) => placeOf(path, depth));
    if (names.some(({ name }) => name === IDLE || name === `${OBSERVER}${BUILT_IN}`)) continue;
    busy += time;
    const seen = new Set<string>();
    for (const [depth, { name, part }] of names.entries()) {
      const key = `${part}\n${name}`;
      const known = times.get(key) ?? { name, part, self: 0, total: 0 };
      if (depth === 0) known.self += time;
      if (!seen.has(key)) known.total += time;
      seen.add(key);
      times.set(key, known);
    }
  }
  const shares = [...times.values()].map((each) => ({
    ...each,
    self: each.self / busy,
    total: each.total / busy,
  }));
  return shares.sort((a, b) => b.self - a.self);
}

/** From a node to the root. */
function pathOf(id: number, byId: ReadonlyMap<number, Node>, parents: ReadonlyMap<number, number>): Node[] {
  const path: Node[] = [];
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const node = byId.get(at);
    if (node !== undefined) path.push(node);
  }
  return path;
}

function placeOf(path: readonly Node[], depth: number): { name: string; part: string } {
  const { functionName } = (path[depth] as Node).callFrame;
  if (OUTSIDE.has(functionName)) return { name: functionName, part: '' };
  const caller = path.slice(depth).find(({ callFrame }) => callFrame.url !== '');
  const isBuiltIn = path[depth]?.callFrame.url === '';
  const name = functionName === '' ? '(anonymous)' : functionName;
  return { name: isBuiltIn ? name + BUILT_IN : name, part: partOf(caller?.callFrame.url ?? '') };
}

/** A source file of ours, built or not, or the package. */
function partOf(url: string): string {
  if (url === '' || url.startsWith('node:')) return 'node';
  const [, ownPackage] = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (ownPackage !== undefined) return ownPackage;
  const [, file] =
    /\/((?:server|shared|bench)\/[^?]*?)\.(?:js|ts|mjs)(?:$|\?)/.exec(url.replace(/^.*\/dist\//, '/')) ?? [];
  return file === undefined ? url : `${file}.ts`;
}
