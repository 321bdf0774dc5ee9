import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { filesIn, LANES, type Lane, ON_POSTGRES_TOO, SHARING } from './test/support/lanes.js';
import { PATIENCE } from './test/support/wait.js';

/** Those that take longest start first, so that none of them runs on alone at the end. */
const LONGEST = [
  'legacy-model',
  'phone-day',
  'convergence',
  'gateways/overload',
  'server/process',
  'commands',
  'browser/plays',
  'browser/admin',
  'browser/looks',
  'browser/faults',
  'browser/demo',
  'cluster/proxies',
  'store/move',
  'cluster/nodes',
  'docs/readme-walk',
  'store/erasure',
  'test/later-wins',
  'test/history',
  'gateways/fairness',
  'gateways/slow-line',
  'created-apart',
];
function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONGEST.findIndex((name) => moduleId.endsWith(`${name}.test.ts`));
  return rank < 0 ? LONGEST.length : rank;
}

/** Files of one kind share processes, those of the kind 0 none. */
function kindOf({ moduleId, project }: TestSpecification): number {
  const { name, isolate } = project.config;
  if (isolate) return 0;
  const isInBrowser = readFileSync(moduleId, 'utf8').startsWith('// @vitest-environment');
  return 1 + 2 * projects.findIndex((each) => each.name === name) + (isInBrowser ? 0 : 1);
}

/**
 * A process ends where the file that comes next is of another project or another environment, and the one after it
 * loads everything anew: so those that share processes come one after the other.
 */
class KindByKind extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const kinds = new Map(files.map((file) => [file, kindOf(file)]));
    const kind = (file: TestSpecification): number => kinds.get(file) ?? 0;
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => kind(a) - kind(b) || rankOf(a) - rankOf(b));
  }
}

const REACT_18 = fileURLToPath(new URL('test/react-18/node_modules/', import.meta.url));
const MODULES = [
  'react',
  'react/jsx-runtime',
  'react/jsx-dev-runtime',
  'react-dom/client',
  'react-dom/server',
];
const react18 = MODULES.map((name) => ({ find: new RegExp(`^${name}$`), replacement: REACT_18 + name }));

/** What the examples of the documents import by the names of the package; tsconfig.json says the same to TypeScript. */
const ENTRIES = {
  'telemed-sync': 'client/index.ts',
  'telemed-sync/react': 'client/react/index.ts',
  'telemed-sync/compat': 'client/compat/index.ts',
  'telemed-sync/memory': 'client/local-store/memory.ts',
  'telemed-sync/testing': 'client/testing/index.ts',
};
const published = Object.entries(ENTRIES).map(([name, file]) => ({
  find: new RegExp(`^${name}$`),
  replacement: fileURLToPath(new URL(file, import.meta.url)),
}));

/** All lanes, or those that the mode names: `--mode net` is that one. */
const lanesOf = (mode: string): readonly Lane[] => {
  if (mode === 'test') return LANES;
  if (mode === 'fast') return ['unit', 'store', 'replay'];
  if (mode === 'model') return ['replay', 'model'];
  return LANES.filter((lane) => lane === mode);
};

/** Of the random runs of models `npm test` makes so many, and all of them in `.ci/run`, as does `--mode model`. */
const MODELS_SHARE = process.env.TEST_SHARE ?? '0.1';

/** And so many of those that run on a PostgreSQL besides. */
const POSTGRES_SHARE = process.env.TEST_SHARE ?? '0.01';
const POSTGRES_SERVER = 'test/support/postgres-server.ts';

const projects: readonly {
  readonly name: string;
  readonly lanes: readonly Lane[];
  readonly isolate?: boolean;
  readonly globalSetup?: string;
  readonly share?: string;
}[] = [
  // They need a process as it began.
  { name: 'apart', lanes: ['early'], isolate: true },
  { name: 'postgres', lanes: ['postgres'], globalSetup: POSTGRES_SERVER },
  { name: 'models', lanes: ['replay', 'model'], share: MODELS_SHARE },
  { name: 'shared', lanes: SHARING },
  // Not in `npm test`, but steps of `.ci/run`: `--mode browser`, `--mode kill`.
  { name: 'browser', lanes: ['browser'], globalSetup: POSTGRES_SERVER },
  { name: 'kills', lanes: ['kill'] },
];

const projectsOf = (mode: string) =>
  projects
    .map(({ lanes, share, ...test }) => ({
      isolate: false,
      ...test,
      include: filesIn(lanes.filter((lane) => lanesOf(mode).includes(lane))),
      ...(share !== undefined && mode === 'test' && { env: { TEST_SHARE: share } }),
    }))
    .filter(({ include }) => include.length > 0)
    .map((test) => ({ extends: true as const, test }));

/** What is run by its own name, `react-18` with all lanes, too. */
const beside = [
  // Times are measured here, so it runs alone: `npm run test:hostile`.
  { extends: true as const, test: { name: 'hostile', include: ['test/hostile/**/*.test.ts'] } },
  {
    extends: true as const,
    test: {
      name: 'on-postgres',
      include: [...ON_POSTGRES_TOO],
      globalSetup: POSTGRES_SERVER,
      env: { TEST_STORE: 'postgres', TEST_SHARE: POSTGRES_SHARE },
    },
  },
  {
    extends: true as const,
    resolve: { alias: [...published, ...react18] },
    test: {
      name: 'react-18',
      include: ['test/client/react/*.test.tsx'],
      env: { REACT: '18' },
    },
  },
];

export default defineConfig(({ mode }) => ({
  resolve: { alias: published },
  test: {
    // A few random runs instead of all: `npm run test:fast`.
    ...(mode === 'fast' && { env: { TEST_SHARE: '0.05' } }),
    globalSetup: ['test/support/build.ts', 'test/support/memory-disk.ts'],
    // In a fresh clone what several projects load is compiled once. Elsewhere a file that was renamed might be missed.
    experimental: { fsModuleCache: Boolean(process.env.CI) },
    setupFiles: 'test/support/seed.ts',
    // What failed is told whole: a list of faults has their seeds.
    chaiConfig: { truncateThreshold: 2_000 },
    pool: 'forks',
    // Many of them wait for processes and clocks most of their time.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    sequence: { sequencer: KindByKind },
    testTimeout: 2 * PATIENCE,
    hookTimeout: 2 * PATIENCE,
    expect: { poll: { timeout: PATIENCE } },
    projects: [...projectsOf(mode), ...(mode === 'test' ? beside : [])],
  },
}));
