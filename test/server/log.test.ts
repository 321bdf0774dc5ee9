import { describe, expect, test, vi } from 'vitest';
import {
  collectingLog,
  createLog,
  type EventFields,
  type EventName,
  type Log,
  silentLog,
  withoutToken,
} from '../../server/log.js';

const who = { user: 'user_1', device: 'phone' };

function lines(format: 'human' | 'json', act: (log: Log) => void, level?: 'info'): string[] {
  const written: string[] = [];
  act(
    createLog({
      format,
      ...(level && { level }),
      now: () => 0,
      stream: { write: (line) => written.push(line) },
    }),
  );
  return written;
}

const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /;

function sentence<Name extends EventName>(name: Name, fields: EventFields<Name>): string {
  const [line = ''] = lines('human', (log) => log(name, fields));
  expect(line).toMatch(TIME);
  return line.replace(TIME, '');
}

describe('sentences', () => {
  test('[O2] the documented lines', () => {
    expect(sentence('connected', { ...who, via: 'json' })).toBe(
      '🔌 New WebSocket connection: User user_1, Device phone\n',
    );
    expect(sentence('initialData', { ...who, collections: { appointments: 2, prescriptions: 0 } })).toBe(
      '📤 Sent initial data to phone: [appointments: 2, prescriptions: 0]\n',
    );
    expect(sentence('received', { ...who, type: 'DATA_UPDATE' })).toBe(
      '📨 Received DATA_UPDATE from phone\n',
    );
    expect(sentence('updated', { user: 'user_1', collection: 'appointments', record: 'apt_1' })).toBe(
      '💾 Updated appointments for user user_1: apt_1\n',
    );
    expect(sentence('broadcast', { user: 'user_1', devices: ['tablet', 'web'] })).toBe(
      '📤 Broadcasted update to tablet, web\n',
    );
    expect(sentence('stats', { connections: 3, users: 2, entries: 41 })).toBe(
      '📊 Stats: 3 connections, 2 users, 41 data entries\n',
    );
  });

  test('[O2] a line begins with the local date and time', () => {
    const written: string[] = [];
    const now = () => new Date(2026, 10, 29, 17, 4, 9).getTime();
    const log = createLog({ format: 'human', now, stream: { write: (line) => written.push(line) } });
    log('storeRecovered', { afterMs: 5 });
    expect(written).toEqual(['2026-11-29 17:04:09 ✅ The store works again after 5 ms\n']);
  });

  test('[A1] AUTH=none is a warning', () => {
    expect(sentence('authNone', {})).toContain('everybody who reaches this port');
    expect(JSON.parse(lines('json', (log) => log('authNone', {})).join(''))).toMatchObject({ level: 'warn' });
  });

  test('[D6 O2] a name that is not seen, or turns the line around, is shown by its code, in lists and counts too', () => {
    expect(sentence('initialData', { ...who, collections: { 'a\u202eb': 1, 'c\nd': 2 } })).toBe(
      '📤 Sent initial data to phone: [a\\u202eb: 1, c d: 2]\n',
    );
    expect(sentence('broadcast', { user: 'user_1', devices: ['a\u200bb'] })).toBe(
      '📤 Broadcasted update to a\\u200bb\n',
    );
    const json = lines('json', (log) => log('updated', { user: 'u', collection: 'n', record: '\ufeffid' }));
    expect(JSON.parse(json.join(''))).toMatchObject({ record: '\\ufeffid' });
  });

  test('[O2] a line end in a value does not make a line', () => {
    const line = sentence('disconnected', { ...who, code: 1000, reason: 'bye\n🚀 Listening on\u2028x' });
    expect(line).toBe('👋 Connection closed: User user_1, Device phone, 1000 bye 🚀 Listening on x\n');
  });
});

describe('JSON lines', () => {
  test('[O2] the same events, one object a line, with level and time', () => {
    const written = lines('json', (log) => {
      log('received', { ...who, type: 'DATA_UPDATE' });
      log('stats', { connections: 3, users: 2, entries: 41 });
    });
    expect(written.map((line) => JSON.parse(line))).toEqual([
      { level: 'debug', time: '1970-01-01T00:00:00.000Z', event: 'received', ...who, type: 'DATA_UPDATE' },
      {
        level: 'info',
        time: '1970-01-01T00:00:00.000Z',
        event: 'stats',
        connections: 3,
        users: 2,
        entries: 41,
      },
    ]);
    for (const line of written) expect(line.endsWith('}\n')).toBe(true);
  });

  test('[O2] an unexpected error has its stack and its causes', () => {
    const error = new Error('commit failed', { cause: new Error('no space left') });
    const [line = ''] = lines('json', (log) => log('unexpected', { where: 'json session', error }));
    const record = JSON.parse(line);
    expect(record.error.message).toBe('commit failed ← no space left');
    expect(record.error.stack).toMatch(/^Error: commit failed\n +at .+log\.test\.ts/);
    expect(record.error.stack).toContain('caused by Error: no space left');
  });
});

describe('what is never logged', () => {
  test('[O2] the text that JSON.parse quotes in its error', () => {
    const act = (log: Log) => {
      try {
        JSON.parse('diagnosis: asthma');
      } catch (error) {
        log('unexpected', { where: 'test', error });
        log('storeFailed', { error });
      }
    };
    for (const line of [...lines('human', act), ...lines('json', act)]) {
      expect(line).not.toMatch(/diagnosis|asthma/);
    }
  });

  test('[O2] a thrown value that is no error', () => {
    expect(sentence('unexpected', { where: 'test', error: { name: 'Jane Roe' } })).not.toContain('Jane');
    expect(sentence('unexpected', { where: 'test', error: 'Jane Roe' })).not.toContain('Jane');
  });

  test('[O2] an error whose message changed after it was made keeps only the new one', () => {
    const error = new Error('Jane Roe');
    error.message = 'changed';
    expect(sentence('unexpected', { where: 'test', error })).not.toContain('Jane');
  });

  test.each([
    ['/sync?userId=u&token=s3cret', '/sync?userId=u&token=…'],
    ['/sync?token=s3cret&userId=u', '/sync?token=…&userId=u'],
    ['/yjs/u?%74oken=s3cret', '/yjs/u?%74oken=…'],
    ['/yjs/u?TOKEN=s3cret#x', '/yjs/u?TOKEN=…#x'],
    ['/yjs/u?a=1?token=s3cret', '/yjs/u?a=1?token=…'],
    ['/yjs/u?token=s3=cr=et', '/yjs/u?token=…'],
    ['/yjs/u?access_token=s3cret', '/yjs/u?access_token=…'],
    ['/yjs/u?a=1;token=s3cret;b=2', '/yjs/u?a=1;token=…;b=2'],
    ['/yjs/u?a=x;%74oken=s3cret', '/yjs/u?a=x;%74oken=…'],
    ['/yjs/u?%zz=1&deviceId=d', '/yjs/u?%zz=1&deviceId=d'],
  ])('[O2] the token in %s', (url, shown) => {
    expect(withoutToken(url)).toBe(shown);
  });

  test('[O2] a token in an address, a close reason or an error', () => {
    const act = (log: Log) => {
      log('upgradeRefused', {
        url: '/sync?token=s3cret',
        address: '::1',
        status: 400,
        code: 'MISSING_IDENTITY',
      });
      log('disconnected', { ...who, code: 1008, reason: 'Bearer s3cret' });
      for (const url of ['/a?x=Bearer%20s3cret', '/a?x=bearer+s3cret', '/a?x=bearer%2C%20s3cret'])
        log('accessRefused', { url, address: '::1', code: 'UNAUTHORIZED', reason: '' });
      log('unexpected', { where: 'test', error: new Error('GET /api?token=s3cret, bearer, s3cret') });
    };
    for (const line of [...lines('human', act), ...lines('json', act)]) expect(line).not.toContain('s3cret');
  });
});

test('[O2] a level leaves out what weighs less', () => {
  const act = (log: Log) => {
    log('received', { ...who, type: 'REQUEST_SYNC' });
    log('storeRecovered', { afterMs: 5 });
  };
  const [line = '', ...others] = lines('human', act, 'info');
  expect([line.replace(TIME, ''), others]).toEqual(['✅ The store works again after 5 ms\n', []]);
  expect(lines('json', act, 'info')).toHaveLength(1);
});

test('[O2] tests can collect events or silence them', () => {
  const { log, events } = collectingLog();
  log('storeRecovered', { afterMs: 5 });
  silentLog('storeRecovered', { afterMs: 5 });
  expect(events).toEqual([{ name: 'storeRecovered', fields: { afterMs: 5 } }]);
});

test('[O2] many servers in one process listen for its end once', () => {
  const before = process.listenerCount('exit');
  for (let n = 0; n < 12; n++) createLog({ format: 'json' });
  expect(process.listenerCount('exit')).toBe(before);
});

test('[O2] without a stream, the lines of one turn go to standard output together', async () => {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const log = createLog({ format: 'human' });
  log('storeRecovered', { afterMs: 1 });
  log('storeRecovered', { afterMs: 2 });
  await new Promise((resolve) => setImmediate(resolve));
  const calls = write.mock.calls.map(([text]) => text);
  write.mockRestore();
  const untimed = calls.map((text) => String(text).replace(new RegExp(TIME.source, 'gm'), ''));
  expect(untimed).toEqual(['✅ The store works again after 1 ms\n✅ The store works again after 2 ms\n']);
});
