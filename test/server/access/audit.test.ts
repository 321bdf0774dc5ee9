/** The trail of who came to the documents of others: durable, chained, and what a crash leaves of it. */
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Audit, verifyAudit } from '../../../server/access/audit.js';
import type { AuditEntry } from '../../../server/access/audit-line.js';
import { DurableLines } from '../../../server/access/durable-lines.js';
import { audit } from '../../../server/cli/audit.js';
import { type Environment, parseCall } from '../../../server/cli/command.js';
import { run } from '../../../server/cli/commands.js';

const entry = (user: string): AuditEntry => ({
  actor: 'doctor',
  user,
  action: 'read',
  via: 'http',
  address: '127.0.0.1',
});

const verify = (env: Environment, ...file: string[]) => audit.run(parseCall(audit, ['verify', ...file], env));

async function newFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, 'audit', 'audit.jsonl');
}

async function write(file: string, ...users: string[]): Promise<void> {
  const audit = await Audit.open(file, () => 1_700_000_000_000);
  await Promise.all(users.map((user) => audit.record(entry(user))));
  await audit.close();
}

const linesOf = async (file: string): Promise<string[]> =>
  (await readFile(file, 'utf8')).trimEnd().split('\n');

test('[A2] a line says who came to whom, how, from where and when; nobody else may read the file', async () => {
  const file = await newFile();
  await write(file, 'anna');
  const [line = ''] = await linesOf(file);
  expect(JSON.parse(line)).toEqual({
    n: 1,
    at: '2023-11-14T22:13:20.000Z',
    ...entry('anna'),
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('[A2] the chain goes on over restarts, and its check names the first line that was changed', async () => {
  const file = await newFile();
  await write(file, 'anna', 'bert', 'carl');
  await write(file, 'dora', 'emil');
  expect(await verifyAudit(file)).toMatchObject({ brokenLine: null, unfinished: 0, head: { number: 5 } });
  const lines = await linesOf(file);
  const tampered: [string[], number][] = [
    [lines.map((line, index) => (index === 2 ? line.replace('carl', 'karl') : line)), 3],
    [lines.filter((_, index) => index !== 1), 2],
    [[...lines.slice(0, 2), lines[3] ?? '', lines[2] ?? '', ...lines.slice(4)], 3],
    [[...lines.slice(0, 4), lines[3] ?? '', ...lines.slice(4)], 5],
    [lines.slice(1), 1],
    [[...lines, 'a line that is none'], 6],
  ];
  for (const [changed, brokenLine] of tampered) {
    await writeFile(file, `${changed.join('\n')}\n`);
    expect(await verifyAudit(file)).toMatchObject({ brokenLine });
    const said = expect.stringContaining(`line ${brokenLine} is not the one`);
    expect(await verify({}, file)).toMatchObject({ code: 1, said, data: { brokenLine } });
  }
});

test('[A2] where there is no trail, the command says which option names it', async () => {
  const ending = await run(['audit', 'verify'], { AUDIT_FILE: `${await newFile()}.none` });
  expect(ending?.err).toMatch(
    /^There is no audit trail at .*\.none\.[\s\S]*AUDIT_FILE, ACCESS_DIR or DATA_DIR/,
  );
  expect(ending?.code).toBe(2);
});

test('[A2] a line that a crash left unfinished is told from tampering, and the chain goes on after it', async () => {
  const file = await newFile();
  await write(file, 'anna', 'bert');
  const { size } = await stat(file);
  await truncate(file, size - 10);
  const torn = await verifyAudit(file);
  expect(torn).toMatchObject({ brokenLine: null, head: { number: 1 } });
  expect(torn.unfinished).toBeGreaterThan(100);
  expect((await verify({ AUDIT_FILE: file }))?.said).toContain('left unfinished');
  await write(file, 'carl');
  expect(await verifyAudit(file)).toMatchObject({ brokenLine: null, unfinished: 0, head: { number: 3 } });
  const kinds = (await linesOf(file)).map((line) => JSON.parse(line) as { action: string; bytes?: number });
  expect(kinds.map(({ action }) => action)).toEqual(['read', 'recovered', 'read']);
  expect(kinds[1]?.bytes).toBe(torn.unfinished);
});

test('[A2] a trail whose last line is not one of ours stops the start', async () => {
  const file = await newFile();
  await write(file, 'anna');
  await appendFile(file, 'something else\n');
  await expect(Audit.open(file, Date.now)).rejects.toThrow(/damaged at its end/);
});

test('[A2] an access is told to be recorded once its line is on disk, many at a time', async () => {
  const file = await newFile();
  const audit = await Audit.open(file, Date.now);
  onTestFinished(() => audit.close());
  const recorded = Array.from({ length: 200 }, async (_, index) => {
    await audit.record(entry(`user-${index}`));
    return (await readFile(file, 'utf8')).includes(`"user-${index}"`);
  });
  expect(await Promise.all(recorded)).toEqual(Array(200).fill(true));
  expect(await verifyAudit(file)).toMatchObject({ brokenLine: null, head: { number: 200 } });
});

test('[A2] after a write that failed halfway, the file is as it was before, and the next one goes on there', async () => {
  const file = await newFile();
  const lines = await DurableLines.open(file);
  onTestFinished(() => lines.close());
  await lines.append('one\n');
  await appendFile(file, 'half of tw'); // what a disk that got full may leave
  await expect(lines.append(undefined as never)).rejects.toThrow();
  await lines.append('three\n');
  expect(await readFile(file, 'utf8')).toBe('one\nthree\n');
});

test('[P8] an access that can not be recorded since the disk hangs is refused in time, and the chain goes on', async () => {
  const file = await newFile();
  const audit = await Audit.open(file, () => 1_700_000_000_000, 1_000);
  let answer = (): void => {};
  const hung = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const append = vi.spyOn(DurableLines.prototype, 'append').mockImplementationOnce(async function (
    this: DurableLines,
    lines: string,
  ) {
    await hung;
    append.mockRestore();
    await this.append(lines);
  });
  await expect(audit.record(entry('anna'))).rejects.toThrow(/does not answer/);
  await expect(audit.record(entry('bert'))).rejects.toThrow(/does not answer/);
  expect(audit.waitsFor).toBeGreaterThan(0);
  answer();
  await audit.record(entry('carl'));
  expect(audit.waitsFor).toBe(0);
  await audit.close();
  // That of anna was on its way; that of bert was taken back.
  expect((await linesOf(file)).map((line) => JSON.parse(line).user)).toEqual(['anna', 'carl']);
  expect(await verifyAudit(file)).toMatchObject({ brokenLine: null });
});
