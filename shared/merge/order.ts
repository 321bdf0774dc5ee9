/** Three-way merge of sequences of tokens: which occurrences there are, and in which order. */
import { align, insertions, type Tokens } from './sequences.js';

interface Side {
  readonly tokens: ReadonlySet<string>;
  /** For each token of the base whether this side leaves it in its place. */
  readonly keeps: readonly boolean[];
  /** For each gap of the base the tokens that came. */
  readonly gaps: readonly Tokens[];
  readonly changes: ReadonlyMap<string, Change>;
}

type Decided = (token: string) => boolean | undefined;

/** What a side did to the occurrences of one token. What it took from one place to another it only moved. */
interface Change {
  /** Places in the base. */
  removed: number[];
  added: number;
}

const UNCHANGED: Readonly<Change> = { removed: [], added: 0 };

/** In the order in which they keep their place where there are too many of one token. */
const ORIGINS = ['base', 'current', 'incoming'] as const;

interface Candidate {
  readonly token: string;
  readonly origin: (typeof ORIGINS)[number];
}

/**
 * The tokens after the changes of both sides. Those of the base stay unless a side removed them; what both
 * sides inserted is there once; between two that stayed, what is new in `current` comes first. `decided` says of
 * a token whether it is there, if that was decided elsewhere: it is then there once or not at all.
 *
 * @example mergeOrder(['a', 'b'], ['b', 'x'], ['a', 'y', 'b'], () => undefined) // ['y', 'b', 'x']
 */
export function mergeOrder(base: Tokens, incoming: Tokens, current: Tokens, decided: Decided): string[] {
  const [i, c] = [sideOf(base, incoming, decided), sideOf(base, current, decided)];
  const candidates: Candidate[] = [];
  for (let gap = 0; gap <= base.length; gap++) {
    for (const token of c.gaps[gap] ?? []) candidates.push({ token, origin: 'current' });
    for (const token of i.gaps[gap] ?? []) candidates.push({ token, origin: 'incoming' });
    const token = base[gap];
    if (token !== undefined && i.keeps[gap] && c.keeps[gap]) candidates.push({ token, origin: 'base' });
  }
  return chosen(candidates, countsOf(base, i, c, decided));
}

function sideOf(base: Tokens, side: Tokens, decided: Decided): Side {
  const places = align(base, side);
  const gaps = insertions(places, side.length).map((gap) => gap.map((at) => side[at] ?? ''));
  const changes = changesOf(base, places, gaps.flat());
  const tokens = new Set(side);
  const returns = base.map((token, k) => places[k] === -1 && decided(token) === true && !tokens.has(token));
  for (const [k, isBack] of returns.entries()) {
    // It follows what it followed before, so what came there comes behind it.
    if (isBack) [gaps[k], gaps[k + 1]] = [[], [...(gaps[k] ?? []), ...(gaps[k + 1] ?? [])]];
  }
  const keeps = places.map((place, k) => place !== -1 || returns[k] === true);
  return { tokens, keeps, gaps, changes };
}

function changesOf(base: Tokens, places: readonly number[], inserted: Tokens): Map<string, Change> {
  const changes = new Map<string, Change>();
  const changeOf = (token: string): Change => {
    const change = changes.get(token) ?? { removed: [], added: 0 };
    changes.set(token, change);
    return change;
  };
  for (const [k, token] of base.entries()) if (places[k] === -1) changeOf(token).removed.push(k);
  for (const token of inserted) changeOf(token).added++;
  for (const change of changes.values()) {
    const moved = Math.min(change.removed.length, change.added);
    change.removed = change.removed.slice(moved);
    change.added -= moved;
  }
  return changes;
}

function countsOf(base: Tokens, i: Side, c: Side, decided: Decided): Map<string, number> {
  const counts = new Map<string, number>();
  for (const token of base) counts.set(token, (counts.get(token) ?? 0) + 1);
  for (const token of new Set([...base, ...i.tokens, ...c.tokens])) {
    const [mine, theirs] = [i, c].map((side) => side.changes.get(token) ?? UNCHANGED);
    const removed = new Set([...(mine?.removed ?? []), ...(theirs?.removed ?? [])]).size;
    const added = Math.max(mine?.added ?? 0, theirs?.added ?? 0);
    const isThere = decided(token);
    counts.set(token, isThere === undefined ? (counts.get(token) ?? 0) - removed + added : Number(isThere));
  }
  return counts;
}

function chosen(candidates: readonly Candidate[], left: Map<string, number>): string[] {
  const stays = new Set<Candidate>();
  for (const origin of ORIGINS) {
    for (const candidate of candidates) {
      const wanted = left.get(candidate.token) ?? 0;
      if (candidate.origin !== origin || wanted === 0) continue;
      stays.add(candidate);
      left.set(candidate.token, wanted - 1);
    }
  }
  return candidates.filter((candidate) => stays.has(candidate)).map(({ token }) => token);
}
