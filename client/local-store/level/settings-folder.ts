import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** `null` when there is no such file. */
export async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

let writes = 0;

/** Replaces the file, `null` removes it; a crash leaves the old text or the new one. */
export async function writeText(file: string, text: string | null): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  if (text === null) await rm(file, { force: true });
  else await replaceFile(file, text);
  await sync(dirname(file));
}

async function replaceFile(file: string, text: string): Promise<void> {
  writes += 1;
  const draft = `${file}.${process.pid}-${writes}`;
  const handle = await open(draft, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}

/** Windows does not open folders, and needs none of this. */
async function sync(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}
