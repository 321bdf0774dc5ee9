import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { instrumented } from '../../scripts/walk/instrument.js';
import { climbsOf, filesOf, staysOf } from '../../scripts/walk/story.js';
import type { Call } from '../../scripts/walk/trace.js';
import { PATIENCE } from '../support/wait.js';
import { read } from './sources.js';

interface Walked {
  readonly title: string;
  readonly files: readonly string[];
  readonly filesOut: readonly string[];
  readonly climbs: readonly string[];
}

/** Who calls a file that waits for it further up, and why it may; everything else goes down. */
const MAY_CLIMB: Readonly<Record<string, string>> = {
  // A queue calls what it was made for; it does so later where somebody waits.
  'documents/turns/turn-line → documents/turns/turns': 'the line of a user asks all of them whose turn it is',
  'documents/turns/turns → documents/turns/turn-line': 'and is told to work',
  'documents/turns/turn-line → gateways/websocket/wire': 'the line works off what the wire put into it',
  // A batch over HTTP is written in one turn of its user, and its answer made in a later one.
  'documents/turns/turn-line → documents/turns/user-turns': 'the line works off what the user has to do',
  'documents/turns/user-turns → documents/turns/turn-line': 'and takes what comes next',
  'documents/turns/user-turns → documents/in-order': 'the turn of what waits for it',
  'documents/gate → documents/in-order': 'which goes on once the document is in order',
  'gateways/websocket/flow-control → gateways/websocket/wire': 'how much its socket has read',
  'store/group-writer → store/level/level-store':
    'a batch is of all users, and begins when the one before is written',
  // What a connection sends before the write is stored, such as a ping, goes out the way it came in.
  'gateways/json/channel → gateways/json/session': 'it sends by the session that it belongs to',
  'gateways/json/session → gateways/websocket/gateway': 'and that by its socket',
  'gateways/json/limit → gateways/json/channel':
    'how large a message may be depends on the device of the channel',
  // Express calls each handler from inside of the one before.
  'gateways/http/inflation → gateways/http/routes': 'the next handler',
  'gateways/http/sync → gateways/http/request': 'the handler before it is there, and what handlers share',
  'bounded-map → documents/json-devices/recent-writes': 'how large an entry is, which who keeps it knows',
  'documents/intake/quota → documents/user-document': 'which document there is now',
  'documents/quiet-doc → documents/replica':
    'Yjs tells what a transaction has changed, and the replica hears it',
  'client/replica/task-runner → client/replica/replica':
    'Yjs has ended a change, and what waits is carried out',
  'client/replica/persistence → client/replica/task-runner': 'under the lock of the store, what it has first',
};

/** All of the server and the client are compiled for it: seconds of work, whose time a busy machine multiplies. */
const LONG = 8 * PATIENCE;

const inOrder = (files: readonly string[], told: readonly string[] = []): string[] =>
  files.filter((file) => told.includes(file));

describe('the walks of docs/ARCHITECTURE.md', () => {
  let walks: Walked[];

  beforeAll(async () => {
    const args = ['--import', 'tsx', 'scripts/walk.ts', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: LONG });
    walks = JSON.parse(stdout);
  }, LONG);

  test.each([
    ['a native update', 'server/gateways/websocket/wire.ts', 'server/gateways/yjs/session.ts'],
    ['a JSON write over a socket', 'server/gateways/websocket/wire.ts', 'server/gateways/json/session.ts'],
    ['a JSON write over HTTP', 'server/gateways/http/routes.ts', 'server/gateways/http/sync.ts'],
  ])('%s comes in by its own gateway and goes through the one funnel', (title, first, gateway) => {
    const files = walks.find((walk) => walk.title === title)?.files ?? [];
    expect(files[0]).toBe(first);
    const funnel = ['documents/user-document', 'documents/replica', 'store/level/level-store'];
    const way = [gateway, ...funnel.map((name) => `server/${name}.ts`)];
    expect(files.filter((file) => way.includes(file))).toEqual(way);
  });

  test('addData goes from the app to its local store, and asks no network', () => {
    const { files } = walks.find(({ title }) => title === 'addData of our client') as Walked;
    expect(files[0]).toBe('client/sync-manager.ts');
    expect(files).toContain('client/local-store/sole-store.ts');
    expect(files.filter((file) => file.startsWith('client/connection/'))).toEqual([]);
  });

  test.each([
    ['An update of a native device', 'a native update'],
    ['A JSON write over a socket', 'a JSON write over a socket'],
    ['An `addData` of our client', 'addData of our client'],
  ])('what docs/ARCHITECTURE.md says of it is its order: %s', (paragraph, title) => {
    const [, block = ''] = read('docs/ARCHITECTURE.md').split(`\n${paragraph}`)[1]?.split('```\n') ?? [];
    const told = block.split('── stored ──').map((part) => part.match(/^(server|shared|client)\S+/gm) ?? []);
    const { files, filesOut } = walks.find((walk) => walk.title === title) as Walked;
    expect(told.every((part) => part.length > 2)).toBe(true);
    expect(told).toEqual([inOrder(files, told[0]), inOrder(filesOut, told[1])]);
  });

  test('no file is entered twice but on the way out, save for a reason', () => {
    const unexplained = walks.map(({ title, climbs }) => [
      title,
      climbs.filter((climb) => !(climb.replaceAll(/server\/|\.ts/g, '') in MAY_CLIMB)),
    ]);
    expect(unexplained).toEqual(walks.map(({ title }) => [title, []]));
  });
});

describe('how a walk is told', () => {
  /** Runs JavaScript of several files, instrumented, and gives back its calls. */
  function callsOf(files: Record<string, string>, start: string): Call[] {
    const roots: Call[] = [];
    let above: Call | null = null;
    let calls = 0;
    const enter = (
      file: string,
      name: string,
      writtenIn: Call | undefined,
      body: (call: Call) => unknown,
    ) => {
      const call: Call = { file, name, from: above, writtenIn, number: calls++, calls: [] };
      (above?.calls ?? roots).push(call);
      above = call;
      try {
        return body(call);
      } finally {
        above = call.from;
      }
    };
    const code = Object.entries(files).map(([file, source]) => instrumented(file, source));
    new Function('__enter', `${code.join('\n')}\n${start}`)(enter);
    return roots;
  }

  test.each<[string, Record<string, string>, string[], string[]]>([
    [
      'one that goes down does not climb',
      { 'a.js': 'function go() { down(); down(); }', 'b.js': 'const down = () => 1;' },
      ['a.js', 'b.js'],
      [],
    ],
    [
      'a callback that was handed over before climbs',
      {
        'a.js':
          'class A { constructor() { this.b = new B({ up: () => this.up() }); } up() {} go() { this.b.go(); } }\nfunction go() { a.go(); }',
        'b.js':
          'class B { constructor(host) { this.host = host; } go() { this.host.up(); } }\nconst a = new A();',
      },
      ['a.js', 'b.js'],
      ['b.js → a.js'],
    ],
    [
      'one that is handed over by the call itself goes on with it',
      { 'a.js': 'function go() { run((x) => x); }', 'b.js': 'const run = (work) => work(1);' },
      ['a.js', 'b.js'],
      [],
    ],
    [
      'a file between two others is named',
      {
        'a.js': 'function go() { middle(); }\nfunction back() {}',
        'b.js': 'const middle = () => last();',
        'c.js': 'function* last2() {}\nconst last = function () { [...last2()]; back(); };',
      },
      ['a.js', 'b.js', 'c.js'],
      ['c.js → a.js'],
    ],
  ])('%s', (_, files, order, climbs) => {
    const calls = callsOf(files, 'go();').filter(({ name }) => name === 'go');
    expect(filesOf(calls)).toEqual(order);
    expect(climbsOf(staysOf(calls))).toEqual(climbs);
  });

  test('a function does the same with a tracer around it', () => {
    const source = `
      class Base { constructor(x) { this.x = x; } static of(...args) { return new this(...args); } }
      class Own extends Base {
        #y = () => this.x;
        constructor(x, more = () => x + 1) { super(x); this.more = more(); }
        get sum() { return this.#y() + this.more; }
        *each() { yield this.x; yield this.more; }
        async later(value = (() => 2)()) { return (await value) + arguments.length; }
      }
      return [Own.of(1).sum, [...Own.of(3).each()], ({ a: () => ({ b: 1 }) }).a().b, Own.of(1).later()];`;
    const enter = (_file: string, _name: string, _in: unknown, body: (call: object) => unknown) => body({});
    const run = (code: string): unknown[] => new Function('__enter', `return (() => {${code}})();`)(enter);
    const [plain, traced] = [
      run(source),
      run(instrumented('a.js', `const all = () => {${source}};`).concat('return all();')),
    ];
    expect(traced.slice(0, 3)).toEqual(plain.slice(0, 3));
    return expect(traced[3]).resolves.toBe(2);
  });
});
