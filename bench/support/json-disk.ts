/** What an edit of a record takes on disk, made by a JSON device and by a native one. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Edits } from './edits.js';
import { JsonDevice } from './json-device.js';
import { nativeEdits, wholeRecords } from './json-edits.js';
import { NativeDevice } from './native-device.js';
import { print, table } from './print.js';
import { durableServer } from './programs.js';
import type { Scope } from './scope.js';
import { ServerProcess } from './server-process.js';

const EDITS = 1_000;
export const EXPECTED_BYTES = 400;
const USER = 'user-0';

/** A device that waits until each of its changes is durable. */
interface SavingDevice<Frame> {
  open(): Promise<void>;
  save(frame: Frame): Promise<void>;
  close(): void;
}

interface Way<Frame> {
  readonly device: (port: number) => SavingDevice<Frame>;
  readonly edits: () => Edits<Frame>;
}

/** Bytes per edit. */
export interface DiskUse {
  readonly native: number;
  readonly json: number;
}

const NATIVE: Way<Uint8Array> = {
  device: (port) => new NativeDevice(`ws://127.0.0.1:${port}/yjs/${USER}`, true),
  edits: () => nativeEdits(1, EDITS),
};

const JSON_WAY: Way<string> = {
  device: (port) => new JsonDevice(port, USER, 'device-0'),
  edits: () => wholeRecords(1, EDITS),
};

/** All servers at once: nearly all of the time they wait for the disk. */
export async function measureDisk(core: number | null, scope: Scope): Promise<DiskUse> {
  const [native, json] = await Promise.all([
    bytesPerEdit(NATIVE, core, scope),
    bytesPerEdit(JSON_WAY, core, scope),
  ]);
  return { native, json };
}

/** The exit code. */
export function judgeDisk({ native, json }: DiskUse, options: ReadonlySet<string>): number {
  print(`\n${EDITS} edits of one field of a record of 1 KB, each durable before the next; server closed\n`);
  print(
    table([
      ['', 'bytes on disk/edit'],
      ['native device', native.toFixed(0)],
      ['JSON device', json.toFixed(0)],
    ]),
  );
  const most = Math.max(native, json);
  print(`\nlegacy: bytes on disk per edit = ${most.toFixed(0)} (expected at most ${EXPECTED_BYTES})`);
  return options.has('check') && most > EXPECTED_BYTES ? 1 : 0;
}

async function bytesPerEdit<Frame>(way: Way<Frame>, core: number | null, scope: Scope): Promise<number> {
  const { seed, frames } = way.edits();
  const [before, after] = await Promise.all([
    folderSize(way, seed, core, scope),
    folderSize(way, [...seed, ...frames], core, scope),
  ]);
  return (after - before) / frames.length;
}

/** Of a fresh server that was closed after these frames. */
async function folderSize<Frame>(
  { device }: Way<Frame>,
  frames: readonly Frame[],
  core: number | null,
  scope: Scope,
): Promise<number> {
  const folder = await scope.folder();
  const server = await ServerProcess.start(durableServer(folder)(core), scope);
  const author = device(server.port);
  await author.open();
  scope.atEnd(() => author.close());
  for (const frame of frames) await author.save(frame);
  author.close();
  await server.close();
  return sizeOf(folder);
}

async function sizeOf(folder: string): Promise<number> {
  const files = await readdir(folder);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
