import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';

interface Context {
  readonly unstable_enablePackageExports?: boolean;
  readonly resolveRequest: ResolveRequest;
}
type ResolveRequest = (context: Context, name: string, platform: string | null) => unknown;
interface Config {
  readonly resolver?: { readonly resolveRequest?: ResolveRequest | null; readonly sourceExts?: string[] };
  readonly watchFolders?: string[];
}

/** As metro.config.js gets it: it is CommonJS, and built. */
const { withTelemedSync } = createRequire(import.meta.url)(
  '../../packages/client/dist/client/react-native/metro.cjs',
) as {
  withTelemedSync(config: Config): Config & { resolver: { resolveRequest: ResolveRequest } };
};

/** Says which resolver was asked, for what, and whether it reads `exports`. */
const resolverNamed =
  (by: string): ResolveRequest =>
  ({ unstable_enablePackageExports: exports }, name, platform) => ({ by, name, platform, exports });

const metro = { unstable_enablePackageExports: false, resolveRequest: resolverNamed('metro') };

function resolve(config: Config, name: string): unknown {
  return withTelemedSync(config).resolver.resolveRequest(metro, name, 'ios');
}

describe('withTelemedSync', () => {
  test('answers what lib0 asks for with a file of ours', () => {
    const answer = resolve({}, 'isomorphic-webcrypto/src/react-native');
    expect(answer).toEqual({ type: 'sourceFile', filePath: expect.stringMatching(/webcrypto\.js$/) });
    const { filePath } = answer as { filePath: string };
    expect([existsSync(filePath), basename(filePath)]).toEqual([true, 'webcrypto.js']);
  });

  test('leaves everything else to Metro', () => {
    expect(resolve({}, './app')).toEqual({ by: 'metro', name: './app', platform: 'ios', exports: false });
    expect(resolve({ resolver: { resolveRequest: null } }, 'react')).toMatchObject({ by: 'metro' });
  });

  test('or to the resolver of the app, which is still asked first', () => {
    const config = { resolver: { resolveRequest: resolverNamed('app') } };
    expect(resolve(config, 'react')).toMatchObject({ by: 'app', name: 'react' });
    expect(resolve(config, 'isomorphic-webcrypto/src/react-native')).toMatchObject({ type: 'sourceFile' });
  });

  test.each(['telemed-sync', 'telemed-sync/react', 'yjs', 'lib0/encoding'])(
    '%s is found by its exports where an app has switched them off',
    (name) => {
      expect(resolve({}, name)).toMatchObject({ by: 'metro', exports: true });
    },
  );

  test.each(['yjs-like', 'react-native', './lib0'])('%s is found as the app has it', (name) => {
    expect(resolve({}, name)).toMatchObject({ exports: false });
  });

  test('keeps the rest of the config and changes nothing in place', () => {
    const config: Config = { watchFolders: ['a'], resolver: { sourceExts: ['js'] } };
    const before = structuredClone(config);
    expect(withTelemedSync(config)).toMatchObject(before);
    expect(config).toEqual(before);
  });
});
