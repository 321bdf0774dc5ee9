import { basename } from 'node:path';
import type { Chance } from './chance.js';

/** A file: where its bytes are kept, and how many of them are synced. */
interface Synced {
  readonly inode: string;
  readonly synced: number;
}

/** What is on the disk for certain when a process begins. */
export interface Base {
  readonly folders: readonly string[];
  readonly files: Map<string, Synced>;
}

export interface Image {
  readonly folders: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, Synced>;
  /** How many changes of names (files made, renamed, removed) did not reach the disk. */
  readonly undone: number;
}

/** What becomes of bytes that were written and not synced. */
export const TAILS = ['cut', 'part', 'pages', 'zeros', 'garbage'] as const;
export type Tail = (typeof TAILS)[number];

const PAGE = 4_096;

interface Names {
  readonly folders: Set<string>;
  readonly files: Map<string, string>;
}

type Change = (names: Names) => void;

/**
 * What a disk may hold after the lines of fsync-recorder.c. Names are as certain as the last sync of their folder
 * made them; of later changes any number may have arrived, in their order, which every journal keeps. That a file
 * keeps its own name when it is synced, as the file systems of Linux do it, is not relied upon.
 *
 * @param chance decides how many of the later ones; none without it
 */
export function imageAfter(recorded: string, base: Base, chance: Chance | null): Image {
  const lines = recorded.split('\n').filter((line) => line !== '');
  const changes = lines.map(changeOf).filter((change) => change !== null);
  const certain = Math.max(0, ...lines.map((line) => Number(/^folder (\d+)\t/.exec(line)?.[1] ?? 0)));
  const unsure = changes.length - certain;
  const more = chance === null || chance.happens(0.6) ? 0 : chance.below(unsure + 1);
  const arrived = certain + more;
  const names: Names = { folders: new Set(base.folders), files: namesOf(base) };
  for (const change of changes.slice(0, arrived)) change(names);
  const synced = syncedLengths(lines, base);
  const files = [...names.files].map(
    ([path, inode]) => [path, { inode, synced: synced.get(inode) ?? 0 }] as const,
  );
  return { folders: names.folders, files: new Map(files), undone: changes.length - arrived };
}

const namesOf = ({ files }: Base): Map<string, string> =>
  new Map([...files].map(([path, { inode }]) => [path, inode]));

function changeOf(line: string): Change | null {
  const [, kind, rest = ''] = /^(made|renamed|removed|folder made) (.*)$/.exec(line) ?? [];
  const [one = '', other = ''] = rest.split('\t');
  if (kind === 'made') return ({ files }) => files.set(other, one);
  if (kind === 'removed') return ({ files }) => files.delete(one);
  if (kind === 'folder made') return ({ folders }) => folders.add(one);
  if (kind !== 'renamed') return null;
  return ({ files }) => {
    files.set(other, files.get(one) ?? '');
    files.delete(one);
  };
}

/**
 * After a sync that failed, Linux takes the pages for written: no later sync of that file is believed, though it
 * succeeds.
 */
function syncedLengths(lines: readonly string[], base: Base): Map<string, number> {
  const lengths = new Map([...base.files.values()].map(({ inode, synced }) => [inode, synced]));
  const failed = new Set<string>();
  for (const line of lines) {
    const [kind = '', inode = '', length = ''] = line.split(/[ \t]/);
    if (kind === 'failed') failed.add(inode);
    else if (kind === 'synced' && !failed.has(inode)) lengths.set(inode, Number(length));
    else if (kind === 'emptied') lengths.set(inode, 0);
    else if (kind === 'cut') lengths.set(inode, Math.min(lengths.get(inode) ?? 0, Number(length)));
  }
  return lengths;
}

export const isManifest = (path: string): boolean => basename(path).startsWith('MANIFEST');

/** The bytes of a file of which only the first `synced` are certain. */
export function torn(content: Buffer, synced: number, tail: Tail, chance: Chance): Buffer {
  if (content.length <= synced) return content;
  const kept = synced + 1 + chance.below(content.length - synced);
  const bytes = Buffer.from(content);
  const random = () => chance.below(256);
  switch (tail) {
    case 'cut':
      return bytes.subarray(0, synced);
    case 'part':
      return bytes.subarray(0, kept);
    case 'pages':
      return losePages(bytes, synced, chance);
    case 'zeros':
      return bytes.fill(0, synced).subarray(0, kept);
    case 'garbage':
      return bytes.map((byte, index) => (index < synced ? byte : random())).subarray(0, kept) as Buffer;
  }
}

/** Pages reach the disk in any order; the length may do so before them. */
function losePages(bytes: Buffer, synced: number, chance: Chance): Buffer {
  for (let page = synced - (synced % PAGE); page < bytes.length; page += PAGE) {
    if (chance.happens(0.5)) bytes.fill(0, Math.max(page, synced), Math.min(page + PAGE, bytes.length));
  }
  return bytes;
}
