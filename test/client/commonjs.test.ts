/** The built package in both formats, in processes of its own; with Jest itself in scripts/pack-check.ts. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const TWICE = 'Yjs was already imported';

/** What a program on Node says that can't `require` modules, as before 20.17. */
async function run(format: 'commonjs' | 'module', program: string): Promise<string> {
  const flags = ['--no-experimental-require-module', `--input-type=${format}`, '--eval', program];
  const { stdout, stderr } = await promisify(execFile)('node', flags, { cwd: 'packages/client' });
  return stdout + stderr;
}

describe('[C1 C5] the package as CommonJS', () => {
  test('is required, writes and reads; its entries share one client and one Yjs', async () => {
    expect(await run('commonjs', await readFile('test/package/commonjs/require.js', 'utf8'))).toBe('');
  });

  test('has what the modules have, in each entry', async () => {
    const entries = [
      'telemed-sync',
      ...['react', 'compat', 'node', 'memory', 'testing'].map((name) => `telemed-sync/${name}`),
    ];
    for (const entry of entries) {
      const required = `Object.keys(require('${entry}')).sort().join()`;
      const imported = `import('${entry}').then((all) => process.stdout.write(Object.keys(all).sort().join()))`;
      expect(await run('commonjs', `process.stdout.write(${required})`)).toBe(await run('module', imported));
    }
  });

  test('tells who has it in both formats that there are two of Yjs', async () => {
    expect(await run('module', await readFile('test/package/commonjs/both.mjs', 'utf8'))).toContain(TWICE);
    expect(await run('commonjs', "require('telemed-sync'); import('yjs');")).toContain(TWICE);
    expect(await run('commonjs', "require('telemed-sync'); require('yjs');")).toBe('');
    expect(await run('module', "import 'telemed-sync'; import 'yjs';")).toBe('');
  });
});
