import { describe, expect, test } from 'vitest';
import { codeOf, filesBelow, functionLengths, type Import, importsOf, read } from './sources.js';

const SOURCES = ['server', 'shared', 'client'].flatMap(filesBelow);
const ALL = [...SOURCES, ...['test', 'bench', 'scripts'].flatMap(filesBelow)];

interface House {
  readonly from: RegExp;
  readonly may: RegExp;
  /** Of these only the types, which are gone once it runs. */
  readonly types?: RegExp;
}

/** Who may import what of ours; the first row that fits a file holds for it. */
const HOUSE: readonly House[] = [
  { from: /^shared\//, may: /^shared\// },
  { from: /^client\//, may: /^(shared|client)\// },
  { from: /^server\/(errors|misspelt|folders|file-modes)\.ts$/, may: /^(shared\/|server\/errors\.ts$)/ },
  { from: /^server\/protocol\//, may: /^(shared\/|server\/protocol\/|server\/errors\.ts$)/ },
  { from: /^server\/net\//, may: /^server\/(net\/|(log|errors)\.ts$)/, types: /^server\/config\.ts$/ },
  {
    from: /^server\/store\//,
    may: /^(shared\/|server\/(store|protocol)\/|server\/(net\/reachable|bounded-map|folders|errors|resting)\.ts$)/,
  },
  {
    from: /^server\/documents\//,
    may: /^(shared\/|server\/(documents|protocol)\/|server\/(store\/store|bounded-map|errors|resting)\.ts$)/,
  },
  {
    from: /^server\/gateways\//,
    may: /^(shared\/|server\/(documents|gateways|net|protocol)\/|server\/(access\/access|log|metrics|errors|package-folder)\.ts$)/,
    types: /^server\/(cluster\/hops|config|damaged-documents|last-hour|readiness|store\/store)\.ts$/,
  },
  {
    from: /^server\/cluster\//,
    may: /^(shared\/|server\/(cluster|net)\/|server\/(bounded-map|log|errors)\.ts$)/,
    types: /^server\/(config|metrics|store\/store)\.ts$/,
  },
  {
    from: /^server\/access\//,
    may: /^(shared\/|server\/access\/|server\/(config|folders|log|errors)\.ts$)/,
  },
  { from: /^server\/cli\//, may: /^(shared\/|server\/(?!gateways\/|documents\/|index))/ },
  {
    from: /^server\/backup\//,
    may: /^shared\/|^server\/(backup|documents|store)\/|^server\/(access\/access|folders|errors|log|package-folder)\.ts$/,
    types: /^server\/config\.ts$/,
  },
  {
    from: /^server\/testing\//,
    may: /^(shared\/|server\/(testing\/|store\/memory\/|(app|config|log)\.ts$))/,
  },
  {
    from: /^server\/entrance\.ts$/,
    may: /^server\/(gateways\/(http|websocket)\/starting|net\/tls|readiness)\.ts$/,
    types: /^server\/(config|log)\.ts$/,
  },
  {
    from: /^server\/foundation\.ts$/,
    may: /^server\/(access\/access|backup\/backups|cluster\/cluster|store\/encryption\/key-file|clock|open-store|start-checks)\.ts$/,
    types: /^server\/(config|log|store\/store)\.ts$/,
  },
  { from: /^server\/app\.ts$/, may: /^(shared|server)\/(?!main|index)/ },
  {
    from: /^server\/(main|index)\.ts$/,
    may: /^(shared\/|server\/(app|config|log|errors)\.ts$)/,
    types: /^server\/store\/store\.ts$/,
  },
  {
    from: /^server\/config\.ts$/,
    may: /^server\/(option-kinds|misspelt|net\/client-address)\.ts$/,
  },
  {
    from: /^server\/start-checks\.ts$/,
    may: /^server\/(access\/places|file-modes)\.ts$/,
    types: /^server\/(access\/access|config|log|store\/store)\.ts$/,
  },
  { from: /^server\/log\.ts$/, may: /^(shared\/|server\/(errors|log-cleaning)\.ts$)/ },
  {
    from: /^server\/open-store\.ts$/,
    may: /^server\/(store\/|(log|package-folder)\.ts$)/,
    types: /^server\/config\.ts$/,
  },
  {
    from: /^server\/registry-options\.ts$/,
    may: /^server\/(documents\/registry|log|log-edits|option-kinds)\.ts$/,
    types: /^server\/(clock|config)\.ts$/,
  },
  {
    from: /^server\/gauges\.ts$/,
    may: /^$/,
    types:
      /^server\/(documents\/registry|foundation|gateways\/websocket\/connections|metrics|store\/store)\.ts$/,
  },
  { from: /^server\/last-hour\.ts$/, may: /^$/, types: /^server\/metrics\.ts$/ },
  {
    from: /^server\/store-watch\.ts$/,
    may: /^server\/log\.ts$/,
    types: /^server\/(metrics|store\/store|documents\/turns\/backlog)\.ts$/,
  },
  {
    from: /^server\/(log-edits|readiness)\.ts$/,
    may: /^server\/log\.ts$/,
    types: /^server\/(documents\/changes|store\/store)\.ts$/,
  },
  {
    from: /^server\/[^/]+\.ts$/,
    may: /^(shared\/|server\/(log|errors)\.ts$)/,
    types: /^server\/config\.ts$/,
  },
];

const OURS = /^(server|shared|client|test|bench|scripts)\//;

function allowed(file: string, { target, typeOnly }: Import): boolean {
  const house = HOUSE.find(({ from }) => from.test(file));
  if (!OURS.test(target) || house === undefined) return house !== undefined;
  return (
    betweenGateways(file, target) && (house.may.test(target) || (typeOnly && !!house.types?.test(target)))
  );
}

const GATEWAYS = /^server\/gateways\/([^/]+)\//;

/** Protocols know nothing of each other; what is the same for all of them is in `guard`, and `websocket` opens them. */
function betweenGateways(file: string, target: string): boolean {
  const [from, to] = [file, target].map((name) => GATEWAYS.exec(name)?.[1]);
  if (from === undefined || to === undefined) return true;
  return from === to || to === 'guard' || from === 'websocket';
}

/** The files that can be reached from themselves, types included. */
function inCircles(files: readonly string[]): string[] {
  const targets = new Map(
    files.map((file) => [file, importsOf(file, read(file)).map(({ target }) => target)]),
  );
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    (targets.get(from) ?? []).some((target) => {
      if (target === to) return true;
      if (seen.has(target)) return false;
      seen.add(target);
      return reaches(target, to, seen);
    });
  return files.filter((file) => reaches(file, file));
}

const forbidden = (file: string, source: string): string[] =>
  importsOf(file, source)
    .filter((each) => !allowed(file, each))
    .map(({ target }) => `${file} → ${target}`);

const filesWith = (files: readonly string[], pattern: RegExp): string[] =>
  files.filter((file) => pattern.test(codeOf(read(file))));

describe('the house of docs/ARCHITECTURE.md', () => {
  test('imports go in its direction only', () => {
    expect(SOURCES.flatMap((file) => forbidden(file, read(file)))).toEqual([]);
  });

  test('nobody imports itself by way of others, types included', () => {
    expect(inCircles(SOURCES)).toEqual([]);
  });

  test.each([
    ['shared/names.ts', "import { x } from '../server/log.js';"],
    ['shared/names.ts', "export * from '../client/replica/replica.js';"],
    ['server/store/level/level-store.ts', "import type { Log } from '../../log.js';"],
    ['server/documents/registry.ts', "import { LevelStore } from '../store/level/level-store.js';"],
    ['server/documents/registry.ts', "import {\n  a,\n  b,\n} from '../gateways/http/routes.js';"],
    ['server/gateways/http/routes.ts', "const { x } = await import('../../store/memory/memory-store.js');"],
    ['server/gateways/http/routes.ts', "import { readConfig } from '../../config.js';"],
    ['server/gateways/json/session.ts', "import { x } from '../yjs/session.js';"],
    ['server/gateways/http/routes.ts', "import '../websocket/gateway.js';"],
    ['server/gateways/guard/quotas.ts', "import { x } from '../json/session.js';"],
    ['server/documents/json-devices/receipts.ts', "import { x } from '../../gateways/json/session.js';"],
    ['server/protocol/scan.ts', "import { x } from '../documents/replica.js';"],
    ['server/net/token-bucket.ts', "import { x } from '../documents/registry.js';"],
    ['server/main.ts', "import { LevelStore } from './store/level/level-store.js';"],
    ['client/replica/replica.ts', "import { x } from '../../server/config.js';"],
    ['server/app.ts', "import { x } from '../test/support/walk.js';"],
  ])('it is noticed when %s says %j', (file, source) => {
    expect(forbidden(file, source)).toHaveLength(1);
  });

  test.each([
    ['server/documents/registry.ts', "import type { Store } from '../store/store.js';"],
    [
      'server/gateways/http/routes.ts',
      "import type { Config } from '../../config.js';\nimport { json } from 'express';",
    ],
    ['server/gateways/websocket/gateway.ts', "import { x } from '../json/session.js';"],
    ['server/gateways/json/session.ts', "import { x } from './pace.js';"],
    ['server/gateways/json/session.ts', "import { x } from '../guard/quotas.js';"],
    ['server/app.ts', "import { LevelStore } from './store/level/level-store.js';"],
    ['server/app.ts', "/**\n * import { x } from '../test/x.js';\n */"],
  ])('it is allowed that %s says %j', (file, source) => {
    expect(forbidden(file, source)).toEqual([]);
  });
});

test('docs/ARCHITECTURE.md names each source file once, in its folder', () => {
  const map = read('docs/ARCHITECTURE.md')
    .split(/^```$/m)
    .find((part) => part.startsWith('\nshared/'));
  const folders: string[] = [];
  const named = (map ?? '').split('\n').flatMap((line) => {
    const [, indent = '', name = ''] = /^( *)(\S+)/.exec(line) ?? [];
    folders.length = indent.length / 2;
    if (!name.endsWith('/')) return [`${folders.join('')}${name}`];
    folders.push(name);
    return [];
  });
  const ours = (file: string) => /^(server|shared|client)\//.test(file);
  expect(named.filter(ours).sort()).toEqual(SOURCES.filter(ours).sort());
});

describe('habits', () => {
  test('only main.ts, and what runs the commands, read the environment', () => {
    expect(filesWith(SOURCES, /\bprocess\.env\b/)).toEqual(['server/cli/commands.ts', 'server/main.ts']);
  });

  test('only log.ts, and the commands, write to standard output', () => {
    const writers = ['log', 'cli/backup', 'cli/commands', 'cli/user'].map((name) => `server/${name}.ts`);
    const others = SOURCES.filter((file) => !writers.includes(file));
    expect(filesWith(others, /\bconsole\s*\.|\bprocess\.stdout\b/)).toEqual([]);
  });

  test('nothing is typed any', () => {
    expect(filesWith(ALL, /(?::|\bas|<|\||,)\s*any\s*(?=[;,)>\]=|&[{}]|$)/m)).toEqual([]);
  });

  // biome.json has the other limits: 40 lines and 4 parameters for each function, a warning at 400 lines of a file.
  test('nine of ten functions have at most 15 lines', () => {
    const lengths = SOURCES.flatMap((file) => functionLengths(file, read(file))).sort((a, b) => a - b);
    expect(lengths.length).toBeGreaterThan(1000);
    expect(lengths[Math.floor(lengths.length * 0.9)]).toBeLessThanOrEqual(15);
  });

  test.each([
    ['function f() {\n  return 1;\n}', [3]],
    ['class A {\n  #x = 1;\n  get x() {\n    return this.#x;\n  }\n}', [3]],
    ['const f = async () => {\n  g(() => {});\n};', [3, 1]],
    ['const f = (x: number) => x + 1;', []],
  ])('the lines of the functions in %j', (source, lengths) => {
    expect(functionLengths('x.ts', source)).toEqual(lengths);
  });
});
