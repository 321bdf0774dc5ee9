/** The files of deploy/ are read here as those read them that they are for, and held against the server. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { OPTIONS, readConfig } from '../../server/config.js';
import { readEnvironment, readUnit, valuesIn } from '../support/unit-file.js';
import { filesBelow, read } from './sources.js';

/** Of the kinds that have no parser of their own here: every file has to be in one of the tests below. */
const READ = [
  'Caddyfile',
  'compose.env',
  'compose.yaml',
  'digitalocean.yaml',
  'ecosystem.config.cjs',
  'nginx.conf',
  'railway.json',
  'telemed-sync.env',
  'telemed-sync.service',
  'telemed-sync.sh',
];

const optionsOf = (names: readonly string[]): string[] => names.filter((name) => !(name in OPTIONS));
/** What the server needs for its end, in seconds. */
const END = 10;

test('[O1] every file of deploy/ is read by a test, and docs/guides/DEPLOY.md speaks of it', () => {
  const files = readdirSync('deploy', { withFileTypes: true }).filter((each) => each.isFile());
  expect(files.map(({ name }) => name).sort()).toEqual([...READ].sort());
  const guide = read('docs/guides/DEPLOY.md');
  expect(filesBelow('deploy').filter((file) => !guide.includes(file.split('/').at(-1) ?? file))).toEqual([]);
});

test.each(['nginx.conf', 'haproxy.cfg', 'Caddyfile'])(
  '[O1] deploy/cluster/%s hashes by user, for each address that names one, and hides /metrics',
  (name) => {
    const text = read(`deploy/cluster/${name}`);
    expect(text).toMatch(/hash|lb_policy header/);
    for (const part of ['/yjs/', 'api/', 'userId', '/metrics'])
      expect(text.replace('^/(?:yjs|', '/yjs/ ')).toContain(part);
    for (const node of ['node-1:3001', 'node-2:3001', 'node-3:3001']) expect(text).toContain(node);
  },
);

describe('[O1 O4] systemd', () => {
  const unit = readUnit(read('deploy/telemed-sync.service'));
  const one = (name: string): string | undefined => valuesIn(unit, name)[0];

  test('stops with SIGTERM, waits for all to be durable, and comes back after a failure', () => {
    expect([one('KillSignal'), one('Restart'), one('User')]).toEqual([
      'SIGTERM',
      'on-failure',
      'telemed-sync',
    ]);
    expect(Number(one('TimeoutStopSec'))).toBeGreaterThan(END);
  });

  test('sets options that exist, in the unit and in its file', () => {
    const options = { ...readEnvironment(read('deploy/telemed-sync.env')) };
    expect(optionsOf(Object.keys(options))).toEqual([]);
    const set = readEnvironment(valuesIn(unit, 'Environment').join('\n'));
    expect(optionsOf(Object.keys(set))).toEqual([]);
    expect(readConfig({ ...set, ...options })).toMatchObject({
      auth: 'jwt',
      host: '127.0.0.1',
      logLevel: 'info',
    });
  });

  test('its command is that of the server, in its folder and with its options', () => {
    const folder = mkdtempSync(join(tmpdir(), 'unit-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const user = `test "$1 $2 $3" = '-u ${one('User')} --' && shift 3 && exec "$@"`;
    const server = `printf '%s|' "$PWD" "$NODE_ENV" "$DATA_DIR" "$HOST" "$STORE" "$A" "$B" "$C" "$@"`;
    for (const [name, text] of [
      ['runuser', user],
      ['bin', server],
    ] as const)
      writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const odd = [
      'STORE=postgres://a@b/c?d=e&f=g',
      'A=x y;$z `w` ',
      'B="in quotes"  ',
      'A-B=no name',
      '# C=no',
      "C='at the end'",
    ];
    writeFileSync(join(folder, 'env'), `${read('deploy/telemed-sync.env')}\n${odd.join('\n')}`);
    const home = one('WorkingDirectory') ?? '';
    const script = read('deploy/telemed-sync.sh')
      .replace('PATH=$PATH', `PATH=${folder}:$PATH`)
      .replace(`cd ${home} ||`, `cd ${folder} ||`)
      .replace(one('EnvironmentFile') ?? '', join(folder, 'env'))
      .replace('/opt/telemed-sync/node_modules/.bin/telemed-sync', join(folder, 'bin'));
    // That of cron.
    const env = { PATH: '/usr/bin:/bin' };
    const { stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', 'user', 'export', "O'Hara  "], {
      env,
      encoding: 'utf8',
    });
    const lines = ['postgres://a@b/c?d=e&f=g', 'x y;$z `w`', 'in quotes', 'at the end'];
    expect([stdout, stderr]).toEqual([
      [folder, 'production', `${home}/data`, '127.0.0.1', ...lines, 'user', 'export', "O'Hara  ", ''].join(
        '|',
      ),
      '',
    ]);
    expect(read('deploy/telemed-sync.sh')).toMatch(/^PATH=.*:\/usr\/sbin:/m);
    expect(read('deploy/telemed-sync.sh')).toContain(`DATA_DIR=${home}/data`);
    expect(valuesIn(unit, 'Environment')).toEqual(['NODE_ENV=production', `DATA_DIR=${home}/data`]);
    expect(one('ExecStart')).toContain('/opt/telemed-sync/node_modules/');
  });

  const analyze = (...args: string[]) =>
    spawnSync('systemd-analyze', [...args, resolve('deploy/telemed-sync.service')], { encoding: 'utf8' });
  test.skipIf(analyze('verify').error !== undefined && !process.env.CI)(
    'is one that systemd takes, and rates as closed',
    () => {
      const { status, stderr } = analyze('verify');
      const complaints = stderr
        .split('\n')
        .filter((line) => /telemed-sync/.test(line) && !/not executable|No such file/.test(line));
      expect([status === 0 || complaints.length === 0, complaints]).toEqual([true, []]);
      const rating = /exposure level for \S+ ([\d.]+)/.exec(
        analyze('security', '--offline=true').stdout,
      )?.[1];
      if (rating !== undefined) expect(Number(rating)).toBeLessThan(2);
    },
  );
});

test('[O4] PM2 runs one process in fork mode, and lets it end', () => {
  const { apps } = createRequire(import.meta.url)(resolve('deploy/ecosystem.config.cjs'));
  expect(apps).toEqual([
    expect.objectContaining({ exec_mode: 'fork', instances: 1, env: { NODE_ENV: 'production' } }),
  ]);
  expect(apps[0].kill_timeout).toBeGreaterThan(END * 1_000);
  expect(apps[0].script).toBe(resolve('packages/server/dist/server/cli/main.cjs'));
});

describe('[O4] containers', () => {
  test('compose.yaml: one server with its own volumes, stopped in peace, behind Caddy', () => {
    const { services, volumes } = parse(read('deploy/compose.yaml'));
    const { server, caddy } = services;
    const { TMPDIR, ...options } = server.environment;
    expect(optionsOf(Object.keys(options))).toEqual([]);
    expect(Number.parseInt(server.stop_grace_period, 10)).toBeGreaterThan(END);
    expect([server.ports, server.read_only, server.cap_drop]).toEqual([undefined, true, ['ALL']]);
    expect(caddy.depends_on.server.condition).toBe('service_healthy');
    const named = [...server.volumes, ...caddy.volumes].map((each: string) => each.split(':')[0]);
    expect(named.filter((name) => !name?.startsWith('.')).sort()).toEqual(Object.keys(volumes).sort());
    const places = server.volumes.map((each: string) => each.split(':')[1]);
    const made = /^RUN mkdir (.+?) &&/m.exec(read('Dockerfile'))?.[1]?.split(' ');
    expect(places, 'a volume takes its owner from the image').toEqual(made);
    expect(places, '[P11] backups have a place beside the data, and what is unpacked is on a disk').toEqual(
      expect.arrayContaining(['/backups', TMPDIR]),
    );
    const asked = [...read('deploy/compose.yaml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name);
    expect(Object.keys(readEnvironment(read('deploy/compose.env'))).sort()).toEqual(
      [...new Set(asked)].sort(),
    );
  });

  test('Railway and DigitalOcean: one instance, asked at /ready', () => {
    const railway = JSON.parse(read('deploy/railway.json')).deploy;
    expect(railway).toMatchObject({ numReplicas: 1, healthcheckPath: '/ready', overlapSeconds: 0 });
    expect([railway.drainingSeconds > END, railway.requiredMountPath]).toEqual([true, '/data']);
    const [service] = parse(read('deploy/digitalocean.yaml')).services;
    expect(service).toMatchObject({
      instance_count: 1,
      http_port: 3001,
      health_check: { http_path: '/ready' },
    });
    expect(optionsOf(service.envs.map(({ key }: { key: string }) => key))).toEqual([]);
    for (const file of ['deploy/digitalocean.yaml', 'docs/guides/DEPLOY.md'])
      expect(read(file)).toMatch(/ALL DATA IS GONE/);
  });
});

/** Blocks in braces, however deep, with the words before them; throws where one is not closed. */
function blocksOf(text: string): string[] {
  const open: string[] = [];
  const heads: string[] = [];
  for (const line of text.split('\n').map((each) => each.replace(/#.*$/, '').trim())) {
    if (line.endsWith('{')) {
      open.push(line);
      heads.push(line.slice(0, -1).trim());
    } else if (line === '}' && open.pop() === undefined) throw new Error('a brace too many');
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`);
  return heads;
}

describe('[O1] proxies', () => {
  test('nginx passes upgrades, the address of the client, and waits longer than a ping', () => {
    const text = read('deploy/nginx.conf');
    expect(blocksOf(text)).toEqual([
      'map $http_upgrade $connection_upgrade',
      'server',
      'location = /metrics',
      'location /',
    ]);
    const statements = text
      .split('\n')
      .map((line) => line.replace(/#.*$/, '').trim())
      .filter(Boolean);
    expect(statements.filter((line) => !/[;{}]$/.test(line))).toEqual([]);
    const { pingInterval, maxHttpBody } = readConfig({});
    const value = (name: string): number =>
      Number.parseInt(new RegExp(`${name} (\\d+)`).exec(text)?.[1] ?? '', 10);
    expect(value('proxy_read_timeout') * 1_000).toBeGreaterThan(2 * pingInterval);
    expect(value('client_max_body_size') * 2 ** 20).toBe(maxHttpBody);
    for (const part of [
      'proxy_set_header Upgrade $http_upgrade;',
      'proxy_set_header X-Forwarded-For $remote_addr;',
    ])
      expect(statements).toContain(part);
  });

  test('Caddy has its names from the environment that compose.yaml sets', () => {
    const text = read('deploy/Caddyfile');
    const { environment } = parse(read('deploy/compose.yaml')).services.caddy;
    const names = [...text.matchAll(/\{\$(\w+)/g)].map(([, name]) => name);
    expect([...new Set(names)].sort()).toEqual(Object.keys(environment).sort());
    expect(blocksOf(text)).toHaveLength(2);
  });
});

test('[O1] Procfile starts server.js, which is there', () => {
  const [, command = ''] = /^web: (.+)\n$/.exec(read('Procfile')) ?? [];
  expect(command.split(' ').at(-1)).toBe('server.js');
  expect(existsSync('server.js')).toBe(true);
});
