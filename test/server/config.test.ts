import { describe, expect, expectTypeOf, test } from 'vitest';
import {
  type Config,
  ConfigError,
  misspeltOptions,
  NEVER,
  OPTIONS,
  optionTable,
  readConfig,
} from '../../server/config.js';

const MIB = 2 ** 20;

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('defaults', () => {
  test('[O1] the server listens on 3001 and keeps its data in ./data', () => {
    expect(readConfig({})).toMatchObject({ port: 3001, dataDir: './data', nodeEnv: 'development' });
  });

  test.each<[Record<string, string>, string]>([
    [{}, '127.0.0.1'],
    [{ AUTH: ' ' }, '127.0.0.1'],
    [{ AUTH: 'none' }, '0.0.0.0'],
    [{ AUTH: 'jwt' }, '0.0.0.0'],
    [{ NODE_ENV: 'production', AUTH: 'jwt' }, '0.0.0.0'],
    [{ HOST: '0.0.0.0' }, '0.0.0.0'],
    [{ HOST: '::1', AUTH: 'jwt' }, '::1'],
  ])('[A1 O1] with %j it listens on %s: other machines come in where somebody chose who may', (env, host) => {
    expect(readConfig(env).host).toBe(host);
  });

  test('[O1] an empty value counts as not set', () => {
    expect(readConfig({ PORT: '', DATA_DIR: '  ' })).toEqual(readConfig({}));
  });

  test('[O1] limits have the documented defaults, in bytes and milliseconds', () => {
    expect(readConfig({})).toMatchObject({
      maxNativeMessage: 32 * MIB,
      maxJsonMessage: MIB,
      maxHttpBody: 32 * MIB,
      maxDepth: 64,
      maxPending: 256 * 1024,
      pendingTimeout: 30_000,
      pingInterval: 30_000,
      historyDays: 90,
      maxDocument: 32 * MIB,
      maxDocumentStructs: 1_000_000,
      maxDevices: 100,
      messageRate: 100,
      messageBurst: 1_000,
      byteRate: 4 * MIB,
      byteBurst: 64 * MIB,
      maxSocketsPerUser: 60,
      maxSocketsPerAddress: 1_000,
      upgradeTimeout: 5_000,
      headersTimeout: 5_000,
      keepAliveTimeout: 75_000,
      bufferPause: MIB,
      bufferClose: 16 * MIB,
    });
  });

  test('[O1] types follow from the table', () => {
    expectTypeOf<Config['port']>().toEqualTypeOf<number>();
    expectTypeOf<Config['auth']>().toEqualTypeOf<'jwt' | 'none'>();
    expectTypeOf<Config['logFormat']>().toEqualTypeOf<'human' | 'json'>();
  });

  test('[O2] logs are sentences in development and JSON in production, unless set', () => {
    expect(readConfig({}).logFormat).toBe('human');
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'none' }).logFormat).toBe('json');
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'none', LOG_FORMAT: 'human' }).logFormat).toBe('human');
  });
});

describe('keys', () => {
  test('[O1] a key is 32 bytes as base64 or hex, and a bad one is not shown', () => {
    for (const key of [`${'A'.repeat(43)}=`, 'A'.repeat(43), 'a'.repeat(64), '-_'.repeat(21).concat('A')]) {
      expect(readConfig({ ENCRYPTION_KEY: key }).encryptionKey).toBe(key);
    }
    expect(readConfig({})).toMatchObject({ encryptionKey: '', encryptionKeyFile: '' });
    for (const bad of ['secret', 'A'.repeat(42), 'g'.repeat(64), 'a'.repeat(63)]) {
      const [problem = ''] = problemsOf({ ENCRYPTION_KEY: bad });
      expect(problem).toMatch(/^ENCRYPTION_KEY is not one\. Allowed: 32 bytes as base64 or hex/);
      expect(problem).not.toContain(bad);
    }
  });
});

describe('demo', () => {
  test('[O1] it is there unless the server runs in production', () => {
    expect([readConfig({}).demo, readConfig({ NODE_ENV: 'test' }).demo]).toEqual([true, true]);
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'none' }).demo).toBe(false);
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'none', DEMO: 'true' }).demo).toBe(true);
    expect(readConfig({ DEMO: 'false' }).demo).toBe(false);
    expect(problemsOf({ DEMO: 'yes' })).toEqual(['DEMO is "yes". Allowed: true or false.']);
  });
});

describe('access', () => {
  test('[A1] production refuses to start unless AUTH is set', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toEqual([expect.stringMatching(/^AUTH must be set/)]);
    expect(problemsOf({ NODE_ENV: 'production', AUTH: '' })).toHaveLength(1);
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'none' }).auth).toBe('none');
  });

  test('[A1] elsewhere AUTH is none unless set', () => {
    expect(readConfig({ NODE_ENV: 'development' }).auth).toBe('none');
    expect(readConfig({ NODE_ENV: 'test' }).auth).toBe('none');
  });

  test('[A1] AUTH is jwt or none', () => {
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'jwt' }).auth).toBe('jwt');
    expect(problemsOf({ AUTH: 'basic' })).toEqual(['AUTH is "basic". Allowed: jwt or none.']);
  });

  test('[A5] origins are those of pages, all of them in development, none in production', () => {
    expect(readConfig({}).corsOrigins).toEqual(['*']);
    expect(readConfig({ NODE_ENV: 'production', AUTH: 'none' }).corsOrigins).toEqual([]);
    expect(readConfig({ CORS_ORIGINS: 'none' }).corsOrigins).toEqual([]);
    const listed = 'https://app.example, http://localhost:5173';
    expect(readConfig({ CORS_ORIGINS: listed }).corsOrigins).toEqual(listed.split(', '));
    for (const bad of [
      'app.example',
      'https://app.example/',
      'null',
      'https://*.example',
      'none, https://a.example',
    ]) {
      expect(problemsOf({ CORS_ORIGINS: bad })).toEqual([expect.stringMatching(/^CORS_ORIGINS is /)]);
    }
  });
});

describe('options that need each other', () => {
  test('[S4] a native message must be able to hold a document', () => {
    const sentence = expect.stringMatching(/^MAX_NATIVE_MESSAGE must not be smaller than MAX_DOCUMENT/);
    const env = (message: string, document: string) => ({
      MAX_NATIVE_MESSAGE: message,
      MAX_DOCUMENT: document,
    });
    expect(problemsOf(env('5000', '5000'))).toEqual([]);
    expect(problemsOf(env('4999', '5000'))).toEqual([sentence]);
    expect(problemsOf(env('32 MiB', '0'))).toEqual([sentence]);
    expect(problemsOf(env('0', '0'))).toEqual([]);
  });

  test('[S4] a proxy that is none is told of', () => {
    expect(problemsOf({ TRUST_PROXY: 'nginx' })).toEqual([expect.stringMatching(/^TRUST_PROXY is "nginx"/)]);
  });
});

describe('a cluster', () => {
  const SECRET = 'a'.repeat(32);

  test.each(['10.0.0.5:3101', 'node-1.example:3101', '[fd00::5]:0', 'localhost:65535'])(
    '[O1] CLUSTER_ADDRESS may be %s',
    (address) => {
      const config = readConfig({ CLUSTER_ADDRESS: address, CLUSTER_SECRET: SECRET });
      expect(config).toMatchObject({ clusterAddress: address, clusterSecret: SECRET });
    },
  );

  test.each(['3101', '10.0.0.5', 'fd00::5:3101', 'http://a:1', 'a:65536', 'a:b', ':1'])(
    '[O1] CLUSTER_ADDRESS may not be %s',
    (address) => {
      expect(problemsOf({ CLUSTER_ADDRESS: address, CLUSTER_SECRET: SECRET })).toEqual([
        expect.stringMatching(/^CLUSTER_ADDRESS is /),
      ]);
    },
  );

  test('[A3 O1] a secret that is too short is refused, and not shown', () => {
    const [problem = ''] = problemsOf({ CLUSTER_ADDRESS: 'a:1', CLUSTER_SECRET: SECRET.slice(1) });
    expect(problem).toMatch(/^CLUSTER_SECRET is not one\. Allowed: at least 32 characters/);
    expect(problem).not.toContain('aaa');
  });

  test('[O1] both options need each other, and exclude shared collections', () => {
    const alone = 'CLUSTER_ADDRESS and CLUSTER_SECRET need each other: set both, or none.';
    expect(problemsOf({ CLUSTER_ADDRESS: 'a:1' })).toEqual([alone]);
    expect(problemsOf({ CLUSTER_SECRET: SECRET })).toEqual([alone]);
    const both = { CLUSTER_ADDRESS: 'a:1', CLUSTER_SECRET: SECRET };
    expect(problemsOf({ ...both, SHARED_COLLECTIONS: 'doctors' })).toEqual([
      expect.stringMatching(/^SHARED_COLLECTIONS can not be had with CLUSTER_ADDRESS/),
    ]);
  });

  test('[O1] with STORE, other nodes are told the port as it stands there: it is not any free one', () => {
    const given = { STORE: 'postgres://u:p@db/d', CLUSTER_ADDRESS: 'a:0', CLUSTER_SECRET: SECRET };
    expect(problemsOf(given)).toEqual([
      expect.stringMatching(/^CLUSTER_ADDRESS names the port .* can not be 0/),
    ]);
    expect(problemsOf({ ...given, CLUSTER_ADDRESS: 'a:10' })).toEqual([]);
  });
});

describe('values', () => {
  test.each([
    ['1MiB', MIB],
    ['32 MiB', 32 * MIB],
    ['1.5 kib', 1536],
    ['500 KB', 500_000],
    ['12345', 12_345],
    ['7b', 7],
    ['0', Number.POSITIVE_INFINITY],
  ])('[O1] size %s', (raw, value) => {
    expect(readConfig({ MAX_JSON_MESSAGE: raw }).maxJsonMessage).toBe(value);
  });

  test.each([
    ['30s', 30_000],
    ['500ms', 500],
    ['5 m', 300_000],
    ['2h', 7_200_000],
    ['15', 15_000],
    ['0.1ms', 1],
    ['0', NEVER],
  ])('[O1] time %s', (raw, value) => {
    expect(readConfig({ PING_INTERVAL: raw }).pingInterval).toBe(value);
  });

  test.each([
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '3001x'],
    ['PORT', '0x10'],
    ['NODE_ENV', 'staging'],
    ['LOG_FORMAT', 'xml'],
    ['LOG_LEVEL', 'DEBUG'],
    ['MAX_JSON_MESSAGE', '1 XB'],
    ['MAX_JSON_MESSAGE', '1 constructor'],
    ['MAX_JSON_MESSAGE', '-1'],
    ['MAX_JSON_MESSAGE', '1e3'],
    ['MAX_DEPTH', '6.5'],
    ['PING_INTERVAL', '30 seconds'],
    ['PING_INTERVAL', '25d'],
    ['HISTORY_DAYS', 'forever'],
    ['CONFIRM_CLOCK', '2026-13-01'],
    ['CONFIRM_CLOCK', 'yes'],
    ['DISK_SLOW', 'soon'],
    ['DISK_TIMEOUT', '25d'],
    ['SHUTDOWN_TIMEOUT', '0'],
    ['SHUTDOWN_TIMEOUT', '10s'],
  ])(
    '[O1] %s=%s stops the start with a sentence that names the option, the value and what is allowed',
    (name, raw) => {
      const [problem, ...rest] = problemsOf({ [name]: raw });
      expect(rest).toEqual([]);
      expect(problem).toMatch(new RegExp(`^${name} is "${raw}". Allowed: .+\\.$`));
    },
  );

  test('[O1] all bad values stand in one error', () => {
    expect(problemsOf({ PORT: 'x', MAX_DEPTH: 'y', NODE_ENV: 'production' })).toHaveLength(3);
  });

  test('[O1] every default is a value that its own option allows', () => {
    for (const [name, { fallback }] of Object.entries(OPTIONS)) {
      expect(() => readConfig({ [name]: fallback }), name).not.toThrow();
    }
  });

  test('[O1] port 0 asks for any free port, 0 days of history stay 0', () => {
    expect(readConfig({ PORT: '0', HISTORY_DAYS: '0' })).toMatchObject({ port: 0, historyDays: 0 });
  });
});

test('[O1] the table lists every option with type, default and a line', () => {
  const rows = optionTable().split('\n').slice(4);
  expect(rows).toHaveLength(Object.keys(OPTIONS).length);
  for (const row of rows) expect(row).toMatch(/^\| `[A-Z_]+` \| [^|]+ \| [^|]+ \| [^|]+\. \|$/);
});

describe('[O1] options that are misspelt', () => {
  test.each([
    ['DATADIR', 'DATA_DIR'],
    ['data_dir', 'DATA_DIR'],
    ['JSON_PACES', 'JSON_PACE'],
    ['HISTORY_DAY', 'HISTORY_DAYS'],
    ['MAX_DOCUEMNT', 'MAX_DOCUMENT'],
    ['JWT_SECERT', 'JWT_SECRET'],
    ['TRUST_PROXI', 'TRUST_PROXY'],
    ['CORS_ORIGIN', 'CORS_ORIGINS'],
  ])('%s is told to be meant as %s', (name, option) => {
    expect(misspeltOptions({ [name]: 'x' })).toEqual([{ name, option }]);
  });

  test('what other programs set, and what is an option, is not', () => {
    const others = ['PATH', 'HOME', 'HOSTNAME', 'NODE_OPTIONS', 'AUTHOR', 'DEMOS_DIR', 'LOG_DIR'];
    const names = [...others, ...Object.keys(OPTIONS), '', '_'];
    expect(misspeltOptions(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual([]);
  });
});
