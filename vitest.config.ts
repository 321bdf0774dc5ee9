import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Most of its time this file waits, so it starts before all others and runs beside them. */
const LONGEST = 'lone-provider.test.ts';

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith(LONGEST);
    const sorted = await super.sort(files);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
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

export default defineConfig({
  test: {
    globalSetup: 'test/support/build.ts',
    pool: 'forks',
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: ['test/**/*.test.{ts,tsx}'],
          exclude: ['test/hostile/**', '**/node_modules/**'],
        },
      },
      // Times are measured here, so it runs alone: `npm run test:hostile`.
      { extends: true, test: { name: 'hostile', include: ['test/hostile/**/*.test.ts'] } },
      {
        extends: true,
        resolve: { alias: react18 },
        test: { name: 'react-18', include: ['test/client/react/*.test.tsx'], env: { REACT: '18' } },
      },
    ],
  },
});
