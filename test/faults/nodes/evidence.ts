/** What there is to look at where something of a user was lost, undone, or came back. */
import { readHistory } from '../../support/history.js';
import type { Household } from '../household.js';

/** Where the devices of a user are, and who knows more of that user. */
export interface Surroundings {
  readonly url: string;
  /** The name of the node that the device at this port of its own is led to. */
  frontOf(port: number | undefined): string;
  /** The last lines about the user in the logs of the nodes. */
  linesOf(user: string): string[];
  /** What the store has of the user, and what each node says. */
  revisions(user: string): Promise<string>;
}

/** What tells of a record that is less than it was, or is there again. */
const WRONG = /(\w+\/[\w-]+) (?:[\w.-]+ is \d+, was \d+|is back, which was removed)/;
/** Of so many records the last changes are shown, and so many of each. */
const RECORDS = 3;
const CHANGES = 40;

type Suspects = Pick<Household, 'user' | 'json' | 'batch'>;

/** Lines about the records that these problems of one user name, and about what speaks JSON. */
export async function evidenceOf(
  { user, json, batch }: Suspects,
  place: Surroundings,
  problems: readonly string[],
): Promise<string[]> {
  const named = problems.flatMap((problem) => WRONG.exec(problem)?.[1] ?? []);
  const records = [...new Set(named)].slice(0, RECORDS);
  const histories = records.map((record) => orWhyNot(() => historyOf(place.url, user, record)));
  const said = orWhyNot(async () => [await place.revisions(user)]);
  return [
    ...(await Promise.all(histories)).flat(),
    ...(await said),
    ...[json, batch].flatMap(({ name, course }) => course.lines(records).map((line) => `${name} ${line}`)),
    ...place.linesOf(user),
  ];
}

async function historyOf(url: string, user: string, record: string): Promise<string[]> {
  const [collection = '', id = ''] = record.split('/');
  const entries = await readHistory({ url, user }, { collection, id });
  return entries.slice(-CHANGES).map(({ revision, deviceId, via, at, madeAt, after }) => {
    const times = [at, madeAt].map((ms) => new Date(ms).toISOString()).join(', made at ');
    return `${record}: revision ${revision} by ${deviceId} via ${via} at ${times}: ${JSON.stringify(after)}`;
  });
}

/** What can't be read keeps nobody from the rest. */
const orWhyNot = (read: () => Promise<string[]>): Promise<string[]> =>
  read().catch((error: unknown) => [`not to be read: ${error}`]);
