/**
 * `dist/cjs` of the client: what apps import, once more in the format of CommonJS, for Jest and `require`. File by
 * file, so that all entries share one state, and with Yjs and React left to the app; from the built files, types
 * included.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const FROM = 'packages/client/dist';
const TO = 'packages/client/dist/cjs';
/** Metro reads modules, and brings its own format. */
const PHONES_ONLY = /react-native/;

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(join(FROM, folder), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** Yjs and lib0 have one set of types for both formats, which TypeScript takes for that of their modules. */
const withTypesOfModules = (declarations: string): string =>
  declarations.replace(
    /^import (?:type )?(\* as \w+) from '((?:yjs|lib0)(?:\/[^']+)?)';$/gm,
    "import type $1 from '$2' with { 'resolution-mode': 'import' };",
  );

const files = (await Promise.all(['client', 'shared'].map(filesIn))).flat();
const wanted = files.filter((file) => !PHONES_ONLY.test(file));
await rm(TO, { recursive: true, force: true });
await build({
  entryPoints: wanted.filter((file) => file.endsWith('.js')),
  outbase: FROM,
  outdir: TO,
  format: 'cjs',
  platform: 'node',
  target: 'es2022',
  logLevel: 'error',
});
for (const file of wanted.filter((each) => each.endsWith('.d.ts'))) {
  const copy = join(TO, file.slice(FROM.length));
  await mkdir(dirname(copy), { recursive: true });
  await writeFile(copy, withTypesOfModules(await readFile(file, 'utf8')));
}
// Last of all: it tells that the build is whole.
await writeFile(join(TO, 'package.json'), '{ "type": "commonjs" }\n');
