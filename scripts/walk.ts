/**
 * `npm run walk`: the files and functions that an update of a native device, a JSON write and an `addData` go
 * through, from a run with every function instrumented. With `--json`, the files and climbs only.
 */
import { createServer } from 'vite';
import { instrument } from './walk/instrument.js';
import type { Scene } from './walk/scenes.js';
import { climbsOf, filesOf, type Stay, staysOf } from './walk/story.js';
import { record } from './walk/trace.js';

const vite = await createServer({
  configFile: false,
  appType: 'custom',
  logLevel: 'error',
  plugins: [instrument],
  server: { middlewareMode: true, hmr: false, watch: null, ws: false },
  optimizeDeps: { noDiscovery: true },
});

async function walked(): Promise<Scene[]> {
  const { scenes } = (await vite.ssrLoadModule(
    '/scripts/walk/scenes.ts',
  )) as typeof import('./walk/scenes.js');
  return scenes(record);
}

function tree(stays: readonly Stay[], indent = '  '): string[] {
  return stays.flatMap(({ file, goesOn, functions, stays: inner }) => [
    `${indent}${goesOn ? '↩ ' : ''}${file}: ${functions.join(', ')}`,
    ...tree(inner, `${indent}  `),
  ]);
}

const list = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [`${title}: none`] : [`${title}:`, ...lines.map((line) => `  ${line}`)];

function told({ title, walk }: Scene): string {
  const [wayIn, wayOut] = [staysOf(walk.wayIn), staysOf(walk.wayOut)];
  return [
    `# ${title}`,
    ...['The way in:', ...tree(wayIn), 'The way out, once it is stored:', ...tree(wayOut)],
    ...list('Files in the order in which the way in enters them', filesOf(walk.wayIn)),
    ...list('Climbs: calls into a file that waits further up', climbsOf(wayIn)),
  ].join('\n');
}

const summary = ({ title, walk }: Scene) => {
  const wayIn = staysOf(walk.wayIn);
  return { title, files: filesOf(walk.wayIn), filesOut: filesOf(walk.wayOut), climbs: climbsOf(wayIn) };
};

const all = await walked();
const text = process.argv.includes('--json')
  ? JSON.stringify(all.map(summary), null, 2)
  : all.map(told).join('\n\n');
await vite.close();
process.stdout.write(`${text}\n`, () => process.exit());
