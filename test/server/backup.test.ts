/** Files of the server: who may read them, and what a restored backup sets back (A2). */
import { chmod, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { accessPlaces } from '../../server/access/places.js';
import { collectingLog } from '../../server/log.js';
import { useRoom } from '../support/backups.js';
import { ServerProcess } from '../support/server-process.js';
import { bearer, JWT, tokenFor } from '../support/tokens.js';
import { useServer } from '../support/use.js';

async function modesBelow(path: string): Promise<Record<string, string>> {
  const found = await stat(path);
  const mode = (found.mode & 0o777).toString(8);
  if (!found.isDirectory()) return { [path]: mode };
  const inside = await Promise.all((await readdir(path)).map((name) => modesBelow(join(path, name))));
  return Object.assign({ [path]: mode }, ...inside);
}

async function expectOnlyOurs(path: string): Promise<void> {
  for (const [file, mode] of Object.entries(await modesBelow(path)))
    expect([file, mode]).toEqual([file, (await stat(file)).isDirectory() ? '700' : '600']);
}

const ADMIN = { ADMIN_TOKEN: 'admin-admin-admin' };
const OPTIONS = { ...JWT, ...ADMIN, LOG_FORMAT: 'human' };

const revoke = ({ url }: { url: string }, body: object) =>
  fetch(`${url}/admin/revoke`, {
    method: 'POST',
    headers: bearer(ADMIN.ADMIN_TOKEN),
    body: JSON.stringify(body),
  });
const statusOf = async ({ url }: { url: string }, token: string, user = 'anna'): Promise<number> =>
  (await fetch(`${url}/api/sync/${user}`, { headers: bearer(token) })).status;
const doctorToken = () => tokenFor('doctor', { access: [{ user: 'anna', mode: 'read' as const }] });

describe('[A2] files of the server', () => {
  test('are for nobody else, whatever the process that starts it allows', async () => {
    const { data: DATA_DIR } = await useRoom();
    const server = await ServerProcess.start(
      { ...OPTIONS, DATA_DIR },
      { command: () => ['sh', '-c', 'umask 0; exec "$@"', 'sh'] },
    );
    onTestFinished(() => server.dispose());
    await revoke(server, { jti: 'a' });
    await statusOf(server, await doctorToken());
    await expectOnlyOurs(DATA_DIR);
    await expectOnlyOurs(`${DATA_DIR}-access`);
  });

  test('that others may read are tightened at the start, with a line; what a link leads to is left alone', async () => {
    const { data: DATA_DIR } = await useRoom();
    const first = await useServer({ ...OPTIONS, DATA_DIR });
    await first.app.close();
    const elsewhere = join(dirname(DATA_DIR), 'elsewhere');
    await writeFile(elsewhere, 'of somebody else', { mode: 0o644 });
    await mkdir(join(DATA_DIR, 'lost'));
    await writeFile(join(DATA_DIR, 'lost', '000005.ldb'), 'left by a repair');
    for (const file of Object.keys(await modesBelow(DATA_DIR))) {
      await chmod(file, (await stat(file)).isDirectory() ? 0o755 : 0o644);
    }
    await symlink(elsewhere, join(DATA_DIR, 'link'));
    const { log, events } = collectingLog();
    const second = await useServer({ ...OPTIONS, DATA_DIR }, { log });
    expect(events.filter(({ name }) => name.startsWith('modes'))).toEqual([
      { name: 'modesTightened', fields: { done: expect.any(Number) } },
    ]);
    await rm(join(DATA_DIR, 'link'));
    await expectOnlyOurs(DATA_DIR);
    expect((await stat(elsewhere)).mode & 0o777).toBe(0o644);
    await second.app.close();
    const again = collectingLog();
    await useServer({ ...OPTIONS, DATA_DIR }, { log: again.log });
    expect(again.events.filter(({ name }) => name === 'modesTightened')).toEqual([]);
  });
});

describe('[A2] a database that is restored from an older backup', () => {
  test('sets back neither revoked tokens nor the audit trail', async () => {
    const { data: DATA_DIR } = await useRoom();
    const first = await useServer({ ...OPTIONS, DATA_DIR });
    const stolen = await tokenFor('anna', { jti: 'stolen' });
    expect(await statusOf(first, stolen)).toBe(200);
    await first.app.close();
    await cp(DATA_DIR, `${DATA_DIR}.backup`, { recursive: true });
    const second = await useServer({ ...OPTIONS, DATA_DIR });
    await revoke(second, { jti: 'stolen' });
    expect(await statusOf(second, await doctorToken())).toBe(200);
    await second.app.close();
    await rm(DATA_DIR, { recursive: true });
    await cp(`${DATA_DIR}.backup`, DATA_DIR, { recursive: true });
    const { log, events } = collectingLog();
    const third = await useServer({ ...OPTIONS, DATA_DIR }, { log });
    expect(await statusOf(third, stolen)).toBe(401);
    expect(events.find(({ name }) => name === 'auditOpened')?.fields).toMatchObject({
      file: join(`${DATA_DIR}-access`, 'audit.jsonl'),
      lines: 2, // a revocation, and the doctor
    });
    expect(events.filter(({ name }) => name === 'accessOlder')).toEqual([]);
  });

  test('is newer than files of the access that were restored or removed: the log says so until somebody acts', async () => {
    const { data: DATA_DIR } = await useRoom();
    const { revoked, audit } = accessPlaces({ dataDir: DATA_DIR, accessDir: '', auditFile: '' });
    const first = await useServer({ ...OPTIONS, DATA_DIR });
    await revoke(first, { jti: 'a' });
    await revoke(first, { jti: 'b' });
    for (let i = 0; i < 3; i++) await statusOf(first, await doctorToken());
    await first.app.close();
    await writeFile(revoked, `${(await readFile(revoked, 'utf8')).split('\n')[0]}\n`);
    await writeFile(audit, `${(await readFile(audit, 'utf8')).split('\n')[0]}\n`);
    const warned = async () => {
      const { log, events } = collectingLog();
      const server = await useServer({ ...OPTIONS, DATA_DIR }, { log });
      const told = events.filter(({ name }) => name === 'accessOlder').map(({ fields }) => fields);
      return { server, told };
    };
    const second = await warned();
    expect(second.told).toMatchObject([
      { file: revoked, lines: 1, expected: 2 },
      { file: audit, lines: 1, expected: 5 },
    ]);
    expect(await readFile(audit, 'utf8')).toMatch(/"action":"set back","lines":5/);
    await second.server.app.close();
    const third = await warned();
    expect(third.told).toMatchObject([{ file: revoked, lines: 1, expected: 2 }]);
    await revoke(third.server, { jti: 'c' });
    await third.server.app.close();
    const fourth = await warned();
    expect(fourth.told).toEqual([]);
  });
});

describe('[A2] revoked tokens and the audit trail', () => {
  const places = (dataDir: string, accessDir = '', auditFile = '') =>
    accessPlaces({ dataDir, accessDir, auditFile });

  test('are beside the data, or where an option says', async () => {
    const { data } = await useRoom();
    expect(places(data)).toMatchObject({
      revoked: join(`${data}-access`, 'revoked.jsonl'),
      audit: join(`${data}-access`, 'audit.jsonl'),
      isInData: false,
    });
    expect(places(data, '/a', '/b/trail')).toMatchObject({ revoked: '/a/revoked.jsonl', audit: '/b/trail' });
  });

  test('stay where an earlier version made them, and the log says what that means', async () => {
    const { data } = await useRoom();
    const first = await useServer({ DATA_DIR: data });
    await first.app.close();
    await mkdir(join(data, 'access'));
    await writeFile(join(data, 'access', 'revoked.jsonl'), '{"jti":"stolen","until":null}\n');
    const { log, events } = collectingLog();
    const second = await useServer({ ...OPTIONS, DATA_DIR: data }, { log });
    expect(await statusOf(second, await tokenFor('anna', { jti: 'stolen' }))).toBe(401);
    expect(events.map(({ name }) => name)).toContain('accessInData');
    expect(places(data)).toMatchObject({ audit: join(data, 'audit', 'audit.jsonl'), isInData: true });
  });

  test.each(['', 'access', 'a/b'])(
    'in a folder of DATA_DIR, "%s", are what a backup sets back: the log says so',
    async (below) => {
      const { data } = await useRoom();
      const { log, events } = collectingLog();
      await useServer({ ...OPTIONS, DATA_DIR: data, ACCESS_DIR: join(data, below) }, { log });
      expect(events.filter(({ name }) => name === 'accessInData')).toHaveLength(1);
      expect(places(data, `${data}2`).isInData).toBe(false);
    },
  );

  test('[A0] what others keep in the same folder is left alone, the folder too', async () => {
    const { data } = await useRoom();
    const shared = join(dirname(data), 'shared');
    await mkdir(join(shared, 'below'), { recursive: true, mode: 0o755 });
    for (const name of ['certificate', 'below/file'])
      await writeFile(join(shared, name), '', { mode: 0o644 });
    await writeFile(join(shared, 'audit.jsonl'), '', { mode: 0o644 });
    await useServer({ ...OPTIONS, DATA_DIR: data, ACCESS_DIR: shared });
    const modes = Object.entries(await modesBelow(shared)).map(([path, mode]) => [
      path.slice(shared.length),
      mode,
    ]);
    expect(Object.fromEntries(modes)).toEqual({
      '': '755',
      '/below': '755',
      '/below/file': '644',
      '/certificate': '644',
      '/audit.jsonl': '600',
      '/revoked.jsonl': '600',
    });
  });

  test.each<[string, (at: string) => Record<string, string>, RegExp]>([
    [
      'ACCESS_DIR is a file',
      (at) => ({ ACCESS_DIR: at }),
      /Can't make the folder .*file \(EEXIST\).*ACCESS_DIR/,
    ],
    [
      'ACCESS_DIR is below a file',
      (at) => ({ ACCESS_DIR: join(at, 'x') }),
      /Can't make the folder .*file \(/,
    ],
    [
      'AUDIT_FILE is a folder',
      (at) => ({ AUDIT_FILE: dirname(at) }),
      /Can't write the file .* \(EISDIR\).*AUDIT_FILE/,
    ],
  ])('[O1] where %s, the start ends with a sentence that says so', async (_, options, sentence) => {
    const { data: DATA_DIR } = await useRoom();
    const at = join(dirname(DATA_DIR), 'file');
    await writeFile(at, '');
    await expect(useServer({ ...OPTIONS, DATA_DIR, ...options(at) })).rejects.toThrow(sentence);
  });

  test('are in a folder of data that nothing can stand beside', async () => {
    const { data } = await useRoom();
    await chmod(dirname(data), 0o500);
    onTestFinished(() => chmod(dirname(data), 0o700));
    // Root may write everywhere.
    if (process.getuid?.() !== 0) expect(places(data).isInData).toBe(true);
    expect(places('/proc').isInData).toBe(true);
  });
});
