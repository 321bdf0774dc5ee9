import { execFileSync, spawnSync } from 'node:child_process';
import { link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Chance } from './chance.js';
import { type Base, imageAfter, isManifest, TAILS, type Tail, torn } from './power-cut.js';

/** Longest pause before a sync, in microseconds: a slow disk, so that more power cuts fall into a write. */
const SLOW = 3_000;

/** Whether the recorder can be compiled here. */
export const canRecord = (): boolean =>
  process.platform === 'linux' && spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0;

/** The folder of a server that runs under the recorder, and what a power cut makes of it. */
export class RecordedDisk {
  /** What `DATA_DIR` has to be. */
  readonly data: string;
  readonly #root: string;
  readonly #library: string;
  #base: Base = { folders: [], files: new Map() };

  private constructor(root: string) {
    this.#root = root;
    this.data = join(this.#folder, 'data');
    this.#library = join(root, 'recorder.so');
  }

  static async create(root: string): Promise<RecordedDisk> {
    const disk = new RecordedDisk(resolve(root));
    const source = 'test/faults/fsync-recorder.c';
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', disk.#library, source, '-ldl'], {
      stdio: 'inherit',
    });
    await mkdir(disk.#folder);
    await disk.settle();
    return disk;
  }

  get #folder(): string {
    return join(this.#root, 'disk');
  }

  get #log(): string {
    return join(this.#root, 'recorded');
  }

  get #inodes(): string {
    return join(this.#root, 'inodes');
  }

  get #countdown(): string {
    return join(this.#root, 'countdown');
  }

  /** What the server is started with. */
  readonly command = (): readonly string[] => [
    'env',
    `RECORDER_FOLDER=${this.#folder}`,
    `RECORDER_LOG=${this.#log}`,
    `RECORDER_INODES=${this.#inodes}`,
    `RECORDER_COUNTDOWN=${this.#countdown}`,
    `RECORDER_DELAY=${SLOW}`,
    `LD_PRELOAD=${this.#library}`,
  ];

  /** Kills the server right before its `count`-th call from now on that makes, syncs, renames or removes a file. */
  async killAt(count: number): Promise<void> {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(count);
    await writeFile(this.#countdown, bytes, { flag: 'r+' });
  }

  /** After the end of the server: leaves what a disk may have kept that lost its power then; says what that was. */
  async cutPower(chance: Chance, { onlyCertain = false } = {}): Promise<string> {
    const tail = TAILS[chance.below(TAILS.length)] ?? 'cut';
    const recorded = await readFile(this.#log, 'utf8');
    const image = imageAfter(recorded, this.#base, onlyCertain ? null : chance);
    const next = join(this.#root, 'next');
    await mkdir(next);
    const moved = (path: string): string => next + path.slice(this.#folder.length);
    for (const folder of image.folders) await mkdir(moved(folder), { recursive: true });
    let lost = 0;
    for (const [path, { inode, synced }] of image.files) {
      const content = await readFile(join(this.#inodes, inode));
      if (!/^LOG/.test(basename(path))) lost += Math.max(0, content.length - synced);
      await writeFile(moved(path), torn(content, synced, tailOf(path, tail), chance));
    }
    await rm(this.#folder, { recursive: true });
    await rename(next, this.#folder);
    await this.settle();
    return `${lost} bytes not synced (${tail}), ${image.undone} names undone`;
  }

  /** From here on everything that is there counts as synced. */
  async settle(): Promise<void> {
    await rm(this.#inodes, { recursive: true, force: true });
    await mkdir(this.#inodes);
    await writeFile(this.#log, '');
    await writeFile(this.#countdown, Buffer.alloc(4));
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true });
    const files: Base['files'] = new Map();
    const folders = [this.#folder];
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else files.set(path, await this.#keep(path));
    }
    this.#base = { folders, files };
  }

  async #keep(path: string): Promise<{ inode: string; synced: number }> {
    const { ino, size } = await stat(path);
    await link(path, join(this.#inodes, `${ino}`));
    return { inode: `${ino}`, synced: size };
  }
}

/** LevelDB survives a manifest that ends early; it does not claim to survive one with other bytes at its end. */
const tailOf = (path: string, tail: Tail): Tail => (isManifest(path) && tail !== 'cut' ? 'part' : tail);
