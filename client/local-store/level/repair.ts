/** Finds what is damaged in the files of a LevelDB database, and makes a new one of all that is whole (C12). */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { ClassicLevel } from '../../platform/node-packages.js';
import { keyIn, NOTHING, pendingName, STATE, unsealValue } from './format.js';
import { type LogRecord, readLog } from './log.js';
import { readNumber } from './snappy.js';
import { readTable, type TableEntry } from './table.js';

const LOG = /^\d+\.log$/;
const TABLE = /^\d+\.(ldb|sst)$/;
/** A batch begins with its number and how many entries it has. */
const BATCH_HEADER = 12;

/** Whether a file is damaged: LevelDB itself would use a part of it without a word, or end the process. */
export async function isDamaged(location: string): Promise<boolean> {
  const files = await listFolder(location);
  const current = files.includes('CURRENT') ? await readFile(join(location, 'CURRENT'), 'latin1') : '';
  for (const name of files) {
    const isManifest = current === `${name}\n`;
    if (!isManifest && !LOG.test(name) && !TABLE.test(name)) continue;
    const file = await readFile(join(location, name));
    const isWhole = TABLE.test(name)
      ? readTable(file).isWhole
      : readLog(file).every(isManifest ? isRight : isUsable);
    if (!isWhole) return true;
  }
  return false;
}

const isRight = ({ state }: LogRecord): boolean => state === 'whole';
/** A log may end where the machine stopped in a write of which nobody was told that it is done. */
const isUsable = ({ state, bytes }: LogRecord): boolean =>
  state === 'whole' || (state === 'torn' && rowsIn(bytes, 0n).length === 0);

/** Puts a new database in its place, and the damaged one beside it; a crash leaves one of the two. */
export async function rebuild(location: string): Promise<void> {
  const making = `${location}.making`;
  await rm(making, { recursive: true, force: true });
  const db = new ClassicLevel<string, Uint8Array>(making, { keyEncoding: 'utf8', valueEncoding: 'view' });
  await db.open();
  try {
    const batch = db.batch();
    for (const [name, value] of await contentOf(location)) batch.put(name, value);
    await batch.write({ sync: true });
  } finally {
    await db.close();
  }
  await rename(making, mendedName(location));
  await moveAside(location);
  await rename(mendedName(location), location);
}

const mendedName = (location: string): string => `${location}.mended`;

/** Ends what a crash left of `rebuild`. */
export async function endRebuild(location: string): Promise<void> {
  const isMissing = (await listFolder(location)).length === 0;
  const isMade = (await listFolder(mendedName(location))).length > 0;
  if (isMissing && isMade) await rename(mendedName(location), location);
  else if (isMade) await rm(mendedName(location), { recursive: true });
}

/** What holds of all that can be read. */
async function contentOf(location: string): Promise<Map<string, Uint8Array>> {
  const newest = new Map<string, TableEntry>();
  for (const name of (await listFolder(location)).filter((each) => LOG.test(each) || TABLE.test(each))) {
    const file = await readFile(join(location, name));
    for (const entry of TABLE.test(name) ? entriesInTable(file) : entriesInLog(readLog(file))) {
      const known = newest.get(entry.name);
      if (known === undefined || known.number <= entry.number) newest.set(entry.name, entry);
    }
  }
  return new Map(
    [...newest].flatMap(([name, { value }]) => (value === null ? [] : [[name, value] as const])),
  );
}

const isOurs = (name: string): boolean => name === STATE || keyIn(name) !== null;

/** Of a damaged table only rows with the right checksum: another may hide behind a damaged name. */
function entriesInTable(file: Uint8Array): TableEntry[] {
  const { entries, isWhole } = readTable(file);
  const isGood = ({ name, value }: TableEntry): boolean =>
    isWhole || value === null || !name.startsWith('c') || unsealValue(name, value, true) !== null;
  return entries.filter((entry) => isOurs(entry.name) && isGood(entry));
}

function entriesInLog(records: readonly LogRecord[]): TableEntry[] {
  let next = 0n;
  return records.flatMap(({ state, bytes }) => {
    const entries = state === 'whole' ? entriesInBatch(bytes) : rowsIn(bytes, next);
    next = (entries[entries.length - 1]?.number ?? next) + 1n;
    return entries;
  });
}

function entriesInBatch(batch: Uint8Array): TableEntry[] {
  const first = new DataView(batch.buffer, batch.byteOffset, BATCH_HEADER).getBigUint64(0, true);
  const entries: TableEntry[] = [];
  for (let at = BATCH_HEADER; at < batch.length; ) {
    const isValue = batch[at] === 1;
    const name = lengthened(batch, at + 1);
    const value = name !== null && isValue ? lengthened(batch, name.end) : null;
    if (name === null || (isValue && value === null)) break;
    const number = first + BigInt(entries.length);
    entries.push({ name: Buffer.from(name.bytes).toString('latin1'), number, value: value?.bytes ?? null });
    at = value?.end ?? name.end;
  }
  return entries;
}

/** Rows that are whole, wherever they begin: each is pending, as nobody knows whether it was. */
function rowsIn(bytes: Uint8Array, number: bigint): TableEntry[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return [...text.matchAll(/c\d{16}/g)].flatMap(({ 0: name, index }) => {
    const value = lengthened(bytes, index + name.length)?.bytes;
    const key = keyIn(name);
    if (value === undefined || key === null || unsealValue(name, value, false) === null) return [];
    return [
      { name, number, value },
      { name: pendingName(key), number, value: NOTHING },
    ];
  });
}

/** The bytes behind their length, or null where there are fewer. */
function lengthened(bytes: Uint8Array, at: number): { bytes: Uint8Array; end: number } | null {
  const length = readNumber(bytes, at);
  const end = length.end + length.number;
  return end <= bytes.length ? { bytes: bytes.subarray(length.end, end), end } : null;
}

/** What is damaged is kept until the data of its user is deleted. */
const ASIDE = '.damaged-';

export async function moveAside(location: string): Promise<void> {
  const taken = await asidesOf(location);
  for (let n = 1; ; n++) {
    if (!taken.includes(`${location}${ASIDE}${n}`)) return rename(location, `${location}${ASIDE}${n}`);
  }
}

export async function removeAsides(location: string): Promise<void> {
  for (const aside of await asidesOf(location)) await rm(aside, { recursive: true, force: true });
}

async function asidesOf(location: string): Promise<string[]> {
  const { dir, base } = parse(location);
  const files = await listFolder(dir);
  return files.filter((file) => file.startsWith(base + ASIDE)).map((file) => join(dir, file));
}

export async function listFolder(location: string): Promise<string[]> {
  try {
    return await readdir(location);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
