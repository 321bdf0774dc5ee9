import { describe, expect, test } from 'vitest';
import { filesBelow, importsOf, read } from './sources.js';

interface Package {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly engines: object;
  readonly files: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies?: object;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { optional: boolean }>>;
}

const packageIn = (folder: string): Package => JSON.parse(read(`${folder}/package.json`));
const root = packageIn('.');
const client = packageIn('packages/client');
const server = packageIn('packages/server');

/** The packages that these folders import, for their types alone included. */
function neededBy(...folders: string[]): string[] {
  const files = folders.flatMap(filesBelow);
  const targets = files.flatMap((file) => importsOf(file, read(file))).map(({ target }) => target);
  const names = targets.map((target) => /^(?:@[^/]+\/)?[^@/.][^/]*/.exec(target)?.[0] ?? '');
  const ours = /^(shared|client|server)$/;
  return [...new Set(names)].filter((name) => name !== '' && !name.startsWith('node:') && !ours.test(name));
}

describe('the two packages', () => {
  test('have the version and the engines of the repository, which is not published', () => {
    expect(root.private).toBe(true);
    for (const { version, engines } of [client, server])
      expect({ version, engines }).toEqual({ version: root.version, engines: root.engines });
  });

  test('ask for the same Yjs, so that a project with both has one', () => {
    for (const name of ['yjs', 'lib0']) expect(client.dependencies[name]).toBe(server.dependencies[name]);
  });

  test('have the files that the README links to', () => {
    const links = [...read('README.md').matchAll(/\]\((?!https?:|#)([^)#/]+)/g)].map(([, name = '']) => name);
    expect(links).toContain('docs');
    for (const { files } of [client, server])
      expect([...files, 'README.md', 'LICENSE']).toEqual(expect.arrayContaining(links));
  });

  test('run nothing where they are installed, and leave nothing out there but what few servers need', () => {
    for (const { scripts } of [client, server]) expect(Object.keys(scripts)).toEqual(['prepack']);
    expect(client.optionalDependencies).toBeUndefined();
    expect(Object.keys(server.optionalDependencies ?? {})).toEqual(['pg']);
  });

  test('install what their sources import, and nothing else', () => {
    const { peerDependencies = {}, peerDependenciesMeta = {} } = client;
    const optional = Object.keys(peerDependencies);
    const forApps = neededBy('client', 'shared').filter((name) => !optional.includes(name));
    // tsx runs the workers of a checkout that is not built.
    const forServers = neededBy('server', 'shared').filter((name) => name !== 'tsx' && name !== 'pg');
    expect(forApps.sort()).toEqual(Object.keys(client.dependencies).sort());
    expect(forServers.sort()).toEqual(Object.keys(server.dependencies).sort());
    for (const name of optional) expect(peerDependenciesMeta[name]).toEqual({ optional: true });
  });
});
