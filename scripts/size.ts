/**
 * What the client weighs in a web page: bundled and minified by esbuild, compressed by gzip; 1 kB is 1,000 bytes.
 * Fails where something is over its limit. `npm run size -- --why` lists the largest parts as well.
 */
import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { buildIfOld } from '../test/support/build.js';

const WEB = 'packages/client/dist/client/index.js';
const REACT = 'packages/client/dist/client/react/index.js';
const YJS = ['yjs', 'lib0'];
const LARGEST = 15;

interface Bundle {
  readonly size: number;
  readonly meta: Metafile;
}

/** The bundle of a page that imports all of these entries. */
async function bundle(entries: readonly string[], external: readonly string[]): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: entries.map((entry) => `export * from './${entry}';`).join('\n'), resolveDir: '.' },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external: ['react', ...external],
    logLevel: 'error',
  });
  return { size: gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length, meta: metafile };
}

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(2)} kB`.padStart(9);

interface Row {
  readonly what: string;
  readonly size: number;
  readonly limit: number;
}

const line = ({ what, size, limit }: Row): string =>
  `${what.padEnd(36)} ${kilobytes(size)}  of ${kilobytes(limit)}  ${size > limit ? 'TOO LARGE' : 'ok'}`;

/** A file of ours by its path, one of a package by the package. */
const partOf = (input: string): string =>
  /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? input.replace(/^dist\//, '');

function largest({ outputs }: Metafile): [string, number][] {
  const parts = new Map<string, number>();
  for (const [input, { bytesInOutput }] of Object.values(outputs).flatMap((each) =>
    Object.entries(each.inputs),
  ))
    parts.set(partOf(input), (parts.get(partOf(input)) ?? 0) + bytesInOutput);
  return [...parts].sort(([, a], [, b]) => b - a).slice(0, LARGEST);
}

buildIfOld();
const [web, own, both] = await Promise.all([bundle([WEB], []), bundle([WEB], YJS), bundle([WEB, REACT], [])]);
const rows: readonly Row[] = [
  { what: "'telemed-sync' with Yjs", size: web.size, limit: 63_110 },
  { what: "'telemed-sync' without Yjs and lib0", size: own.size, limit: 39_740 },
  { what: "'telemed-sync/react' in addition", size: both.size - web.size, limit: 3_000 },
];
const why = process.argv.includes('--why') ? largest(both.meta) : [];
const reasons = why.map(([part, size]) => `${kilobytes(size)}  ${part}`);
process.stdout.write(
  `${[...rows.map(line), ...(why.length > 0 ? ['', 'Minified, before gzip:', ...reasons] : [])].join('\n')}\n`,
);
process.exitCode = rows.some(({ size, limit }) => size > limit) ? 1 : 0;
