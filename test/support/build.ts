import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['server', 'shared'];
const MAIN = 'dist/server/main.js';

/** Builds `dist` unless it is newer than every source; vitest calls it once before all tests. */
export function buildIfOld(): void {
  const newest = Math.max(timeOf('tsconfig.build.json'), ...SOURCES.flatMap(timesBelow));
  if (timeOf(MAIN) > newest) return;
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}

const timeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const timesBelow = (folder: string): number[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => timeOf(join(folder, name)));

export default buildIfOld;
