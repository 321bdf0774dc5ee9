import { expect, test } from 'vitest';
import { OPTIONS, readConfig } from '../../server/config.js';
import { codeOf, read } from './sources.js';

/** A number that a file says for itself: `const NAME = 30 * 2 ** 20;`. */
function constant(place: string): number {
  const [file = '', name] = place.split(' ');
  const found = new RegExp(`\\b${name}(?::| =) ([\\d_.*+ ()]*\\d)`).exec(codeOf(read(`${file}.ts`)));
  if (found === null) throw new Error(`${file}.ts has no number ${name}`);
  return Number(new Function(`return ${found[1]}`)());
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1_000,
  min: 60_000,
  minutes: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  MB: 1e6,
  KB: 1_000,
  KiB: 1_024,
  MiB: 2 ** 20,
};

/** `30 s`, `1,000`, `32 MiB`, `100 per s` as a number: in ms, bytes, pieces. */
function quantity(text: string): number {
  const [, figure = '', unit = ''] = /^([\d,.]+) ?([a-zA-Z]*)/.exec(text) ?? [];
  return Number(figure.replaceAll(',', '')) * (UNITS[unit] ?? 1);
}

/** What a rule says, with its figure in angle brackets, and where the code says it. */
const FIGURES: readonly (readonly [document: string, text: string, place: string])[] = [
  ['SPEC D3', 'Beyond <250,000> comparisons', 'shared/longest MAX_COMPARISONS'],
  ['SPEC D3', 'or within <10 s>', 'server/documents/moves/moved-elements REMOVED_FOR'],
  ['SPEC D3', 'the last <5,000> moved elements', 'server/documents/moves/moved-elements MAX_MOVED'],
  ['SPEC D3', 'and about <1 MB> of them', 'server/documents/moves/moved-elements MAX_MOVED_SIZE'],
  ['SPEC D6', 'field names have 1 to <256> characters', 'shared/names MAX_NAME_LENGTH'],
  ['SPEC D6', 'A `userId` has 1 to <128> characters', 'shared/names MAX_ID_LENGTH'],
  ['SPEC N6', 'after <12 s> of silence', 'server/gateways/yjs/session KEEP_ALIVE'],
  ['SPEC N6', 'looked at every <3 s>', 'server/gateways/websocket/gateway TICK'],
  ['SPEC N6', 'A state may have <4,096> bytes', 'server/protocol/yjs MAX_AWARENESS_STATE'],
  ['SPEC N6', 'One connection may introduce <8> ids', 'server/documents/awareness MAX_STATES_PER_MEMBER'],
  ['SPEC N6', 'a message with more than <1,000> entries', 'server/protocol/yjs MAX_AWARENESS_ENTRIES'],
  ['SPEC N8', 'After <3> such closes in a minute', 'server/gateways/guard/offences MAX_OFFENCES'],
  ['SPEC N8', 'lie in the last <60 s>', 'server/gateways/guard/offences WINDOW'],
  ['SPEC N9', 'a difference of <60 s> more', 'server/documents/later-wins/made-at LONGEST_WAY'],
  ['SPEC N10', 'on sockets <30 s> without one', 'client/connection/socket-link SILENCE'],
  ['SPEC N10', 'has <3 s> to answer a checkpoint', 'client/connection/socket-link SIGN_OF_LIFE'],
  ['SPEC N10', '<12 s> while the first sync comes in', 'client/connection/socket-link WHILE_LOADING'],
  ['SPEC N10', ': <30 s> of silence end an exchange', 'client/connection/http-exchange TIMEOUT'],
  ['SPEC L4', 'came within <250 ms> of its neighbours', 'server/documents/json-devices/sent-messages BURST'],
  ['SPEC L4', 'acknowledged <2 s> before', 'server/documents/json-devices/seen-ranges APP_LAG'],
  ['SPEC L4', 'at most once a <minute>', 'server/documents/json-devices/device LAZY'],
  ['SPEC L4', 'for <1,000> records', 'server/documents/json-devices/recent-writes MAX_WRITES'],
  [
    'SPEC L4',
    'and <8,388,608> characters per connection',
    'server/documents/json-devices/recent-writes MAX_WRITTEN',
  ],
  ['SPEC L4', 'for <256> records; beyond', 'server/documents/json-devices/unsure-records MAX_RECORDS'],
  ['SPEC L4', 'A pong is waited for <30 s>', 'server/gateways/json/lane PATIENCE'],
  ['SPEC L4', 'has written nothing for <5 s>', 'server/gateways/json/session SYNC_AGAIN_AFTER'],
  ['SPEC L4', 'Up to <1,048,576> characters per connection', 'server/gateways/json/pace MOST_AGAIN'],
  ['SPEC L4', 'up to <four> times of doubt', 'server/documents/json-devices/unsure-records MAX_MARKS'],
  [
    'SPEC L5',
    'in the first <30 s> of the connection',
    'server/documents/json-devices/seen-ranges FLUSH_TIME',
  ],
  ['SPEC L5', '<32> steps of each', 'server/documents/json-devices/steps MAX_STEPS'],
  ['SPEC L5', 'less than a <minute> before', 'server/documents/json-devices/clock NEAR'],
  ['SPEC L5', 'each that differs by <1 s>', 'server/documents/json-devices/clock APART'],
  ['SPEC L6', 'at most <4,096> fields', 'server/documents/json-devices/known-fields MAX_FIELDS'],
  ['SPEC L8', 'up to <1,000,000> fields', 'server/documents/history/history-log MOST_RECALLED'],
  ['SPEC L10', 'above <16> times its limit', 'server/gateways/json/message-reader JSON_LIMIT_FACTOR'],
  ['SPEC L10', 'The <20>th bad message', 'server/gateways/json/bad-messages MOST'],
  ['SPEC L12', 'has at most <256> characters', 'server/protocol/json MAX_ACK'],
  ['SPEC H2', 'at most <1,000> `DATA_UPDATE`', 'server/gateways/http/batch MAX_CHANGES'],
  ['SPEC H3', 'at most <1,000>', 'shared/exchange MAX_TIMED_GIVEN'],
  ['SPEC H6', '1 to <500> entries', 'server/gateways/http/history MAX_LIMIT'],
  ['SPEC H6', '<50> by default', 'server/gateways/http/history DEFAULT_LIMIT'],
  ['SPEC H7', 'with 0, within <90> days', 'server/documents/history/document-pruning DEVICE_DAYS'],
  ['SPEC A1', 'an RSA key <2,048> bits', 'server/access/token-keys MIN_RSA_BITS'],
  ['SPEC A2', 'a no for <5 s> at most', 'server/access/access-service MAX_AGE_OF_NO'],
  ['SPEC A2', '<10,000> answers are kept', 'server/access/access-service MAX_ANSWERS'],
  ['SPEC A2', 'at most <50> questions', 'server/access/access-service MAX_OF_PERSON'],
  ['SPEC A2', 'No answer within <5 s>', 'server/access/access-service TIMEOUT'],
  ['SPEC A2', 'one above <64 KiB>', 'server/access/access-service MAX_ANSWER'],
  ['SPEC A2', 'kept for <10 minutes>', 'server/access/jwks MAX_AGE'],
  ['SPEC A2', 'at most every <30 s>', 'server/access/jwks COOLDOWN'],
  ['SPEC S1', 'more than <1,000>', 'server/gateways/yjs/waiting-updates MAX_WAITING'],
  ['SPEC S1', 'at most <500> levels', 'server/protocol/values VALUE_DEPTH_CEILING'],
  ['SPEC S1', 'one above <15> ms', 'server/documents/intake/cost CHEAP_MS'],
  ['SPEC S1', '15 ms or <32 MiB>', 'server/documents/intake/cost CHEAP_BYTES'],
  ['SPEC S1', 'took at most <30 ms> there', 'server/documents/intake/dry-run-worker WANTED'],
  ['SPEC S1', 'up to <250 ms>', 'server/documents/intake/dry-run-worker TOO_LONG'],
  ['SPEC S1', 'more than <20 s> or', 'server/documents/intake/dry-run timeout'],
  ['SPEC H7', 'at least once a <day>', 'server/documents/rounds ROUND_INTERVAL'],
  ['SPEC P5', 'once a <day> in the background', 'server/documents/rounds ROUND_INTERVAL'],
  ['SPEC P2', 'holds at most <16 MiB>', 'server/store/group-writer MAX_BATCH'],
  ['SPEC P3', 'after <100 ms>', 'server/store/try-until FIRST_DELAY'],
  ['SPEC P3', 'at most <5 s>', 'server/store/try-until LONGEST_DELAY'],
  ['SPEC P3', 'a probe of <64 KiB>', 'server/store/level/plan PROBE_SIZE'],
  ['SPEC P4', 'for each <32 KiB> of its snapshot', 'server/documents/compaction/stored-size SCALE'],
  ['SPEC P4', 'up to <40> times as many', 'server/documents/compaction/stored-size MOST_SCALED'],
  ['SPEC P4', 'one for each <2 KiB>', 'server/documents/compaction/stored-size REWRITTEN_PER_UPDATE'],
  ['SPEC P4', 'in <8> updates', 'server/documents/compaction/stored-size WORTH_MERGING'],
  [
    'SPEC P4',
    'Above <256 KiB> it is encoded',
    'server/documents/compaction/document-compaction SMALL_DOCUMENT',
  ],
  ['SPEC P8', 'at most <1,000> wait', 'server/store/level/reads MAX_LOADS'],
  ['SPEC P8', '<16 KiB> for each change', 'server/documents/turns/backlog OVERHEAD'],
  ['SPEC P8', 'bounded at <64 MiB>', 'server/documents/turns/backlog MAX_BACKLOG'],
  ['SPEC S', 'only after <60 s> of it', 'server/gateways/websocket/flow-control OVER_RATE_TIMEOUT'],
  ['SPEC C1', "the server's default, <64> levels", 'shared/record-fields DEFAULT_MAX_DEPTH'],
  ['SPEC P7', 'has more than <100,000>, what', 'server/documents/intake/breadth MANY_ERASED'],
  ['SPEC P7', 'may be of <1,000> client ids', 'server/documents/intake/breadth MAX_CLIENTS_AFTER_MANY'],
  ['SPEC P10', 'With more than <100,000> ids', 'server/documents/epochs/rewrites MANY_RETIRED'],
  ['SPEC P10', 'are more than <500,000> (', 'server/documents/epochs/document-rewriting MAX_RETIRED'],
  ['SPEC P10', 'or it has had <500,000> ids', 'server/documents/epochs/document-rewriting MAX_RETIRED'],
  ['SPEC C6', 'at most <30 s>', 'client/connection/backoff LONGEST'],
  ['SPEC C7', 'tried again after <1 s>', 'client/replica/store-supervisor FIRST_RETRY'],
  ['SPEC C7', 'pauses of up to <30 s>', 'client/replica/store-supervisor LAST_RETRY'],
  ['SPEC C10', 'tried again every <5 minutes>', 'client/connection/connection STOPPED_PAUSE'],
  ['SPEC C11', 'it is tried again every <10 s>', 'client/session/user-session STORAGE_PAUSE'],
  ['SPEC C12', 'with `BLOCKED` after <10 s>', 'client/replica/store-supervisor CLEAR_TIMEOUT'],
  ['ARCHITECTURE', 'an update of more than <384 KiB>', 'server/documents/line-parts MAX_UNCUT'],
  ['reference/PROTOCOL', 'What is larger than <384 KiB>', 'server/documents/line-parts MAX_UNCUT'],
  ['decisions/014-hostile-updates', '| <20,000> / 50,000 |', 'server/protocol/scan MAX_CLIENTS'],
  ['decisions/014-hostile-updates', '| 20,000 / <50,000> |', 'server/documents/intake/breadth MAX_CLIENTS'],
  ['decisions/014-hostile-updates', '| <50,000,000> |', 'server/documents/intake/cost MAX_COPIES'],
  [
    'decisions/014-hostile-updates',
    'Entries of a state vector | <60,000> |',
    'server/protocol/yjs MAX_STATE_VECTOR',
  ],
];

/** A document, or what it says of one rule, or before the first rule of a chapter. */
function textOf(document: string): string {
  const [name = '', rule] = document.split(' ');
  const text = read(`docs/${name}.md`);
  if (rule === undefined) return text;
  const start = rule.length > 1 ? `- ${rule} ` : `## ${rule}. `;
  return text.split(/^(?=- [A-Z]\d|## )/m).find((part) => part.startsWith(start)) ?? '';
}

const WORDS: Readonly<Record<string, string>> = {
  two: '2',
  four: '4',
  minute: '1 min',
  hour: '1 hour',
  day: '1 day',
};

test.each(FIGURES)('%s: %s', (document, text, place) => {
  const [, before = '', figure = '', after = ''] = /^(.*)<(.*)>(.*)$/.exec(text) ?? [];
  expect(textOf(document)).toContain(before + figure + after);
  expect(quantity(WORDS[figure] ?? figure)).toBe(constant(place));
});

const CONFIG = readConfig({});
const defaultOf = (option: string): unknown =>
  CONFIG[option.toLowerCase().replace(/_(.)/g, (_, letter) => letter.toUpperCase()) as keyof typeof CONFIG];

test('the table of limits in docs/SPEC.md has the defaults of the options', () => {
  const rows = [...read('docs/SPEC.md').matchAll(/^\| (`[A-Z].*) \| (.*) \| (.*) \|$/gm)];
  const said = rows.flatMap(([, names = '', defaults = '', further = '']) => {
    const options = `${names.replace(/\(.*?\)/g, '')} ${further}`.match(/[A-Z]+(?:_[A-Z]+)+/g) ?? [];
    const values = defaults.split(/ \/ |, (?=\d+ s)/);
    return options.map((option, index) => [option, quantity(values[index] ?? '')]);
  });
  expect(said.length).toBeGreaterThan(25);
  expect(said).toEqual(said.map(([option]) => [option, defaultOf(String(option))]));
});

test.each([
  ['P8', 'more than <5 s>', 'DISK_SLOW'],
  ['P8', 'after <30 s> at most', 'DISK_TIMEOUT'],
  ['H7', '(<90> by default)', 'HISTORY_DAYS'],
  ['A2', '(<60 s> of uptime', 'ACCESS_CACHE'],
  ['O1', '`PORT` (<3001>)', 'PORT'],
  ['P8', 'bounded at <64 MiB>', 'MAX_UNSAVED'],
] as const)('%s: %s is the default of %s', (rule, text, option) => {
  const [, before = '', figure = '', after = ''] = /^(.*)<(.*)>(.*)$/.exec(text) ?? [];
  expect(textOf(`SPEC ${rule}`)).toContain(before + figure + after);
  expect(option in OPTIONS).toBe(true);
  expect(quantity(figure)).toBe(defaultOf(option));
});
