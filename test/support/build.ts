import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What is built, of what, and how. */
const OUTPUTS = [
  {
    file: 'packages/server/dist/server/main.js',
    sources: ['tsconfig.server.json', 'server', 'shared'],
    command: ['tsc', '-p', 'tsconfig.server.json'],
  },
  {
    file: 'packages/client/dist/client/index.js',
    sources: ['tsconfig.server.json', 'tsconfig.client.json', 'shared', 'client'],
    command: ['tsc', '-p', 'tsconfig.client.json'],
  },
  {
    file: 'packages/client/dist/cjs/package.json',
    sources: ['tsconfig.client.json', 'scripts/commonjs.ts', 'shared', 'client'],
    command: ['tsx', 'scripts/commonjs.ts'],
  },
  {
    file: 'packages/server/dist/demo/index.html',
    sources: ['demo', 'web', 'shared', 'client'],
    command: ['vite', 'build', 'demo', '--logLevel', 'warn'],
  },
  {
    file: 'packages/server/dist/admin/index.html',
    sources: ['admin', 'web', 'shared'],
    command: ['vite', 'build', 'admin', '--logLevel', 'warn'],
  },
] as const;

/** Builds what in the packages is not newer than every source of it; vitest calls it once before all tests. */
export function buildIfOld(): void {
  for (const { file, sources, command } of OUTPUTS) {
    if (timeOf(file) > Math.max(...sources.flatMap(timesBelow))) continue;
    // What vitest sets it to would bring the React of developers into the demo.
    const env = { ...process.env, NODE_ENV: 'production' };
    try {
      execFileSync('npx', ['--no-install', ...command], { stdio: 'inherit', env });
    } catch (error) {
      rmSync(file, { force: true }); // half a build is not to be taken for one
      throw error;
    }
  }
}

const timeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function timesBelow(source: string): number[] {
  if (!statSync(source).isDirectory()) return [timeOf(source)];
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => timeOf(join(parentPath, name)));
}

export default buildIfOld;
