import { equalityDeep } from 'lib0/function';
import type { JsonRecord } from '../../shared/json.js';
import { byId } from '../support/clinic.js';
import { inTime } from '../support/wait.js';
import type { Chance } from './chance.js';
import { HistoryCheck } from './history-check.js';
import { BatchWriter, ExchangeWriter, readAll, readBytes } from './http-writers.js';
import { JsonWriter } from './json-writer.js';
import { FREE_FOR_ALL, Ledger } from './ledger.js';
import { NativeWriter } from './native-writer.js';
import { difference, jsonOf, Witness } from './witness.js';
import type { Shared, Writer } from './writer.js';

const SETTLED = Array.from({ length: 6 }, (_, index) => `a${index}`);
/** How many consultations of one round devices compete for. */
const CONTESTED = 6;

/** A user with two native devices, a JSON device and two that use HTTP, and what is known to be saved of theirs. */
export class Household {
  readonly user: string;
  readonly ledger: Ledger;
  readonly witness = new Witness();
  readonly #history: HistoryCheck;
  readonly json: JsonWriter;
  readonly natives: readonly NativeWriter[];
  readonly batch: BatchWriter;
  readonly exchange: ExchangeWriter;
  protected readonly shared: Shared;
  round = 0;

  constructor(url: string, user: string, chance: () => Chance, onConfirmed: () => void) {
    this.user = user;
    this.ledger = new Ledger(onConfirmed);
    this.#history = new HistoryCheck(url, user);
    const contested = (each: Chance) => `c${this.round}-${each.below(CONTESTED)}`;
    const { ledger, witness } = this;
    this.shared = { url, user, ledger, witness, settled: SETTLED, contested };
    this.batch = new BatchWriter('batch', this.shared, chance());
    this.exchange = new ExchangeWriter('exchange', this.shared, chance());
    this.json = new JsonWriter('tablet', this.shared, chance());
    this.natives = ['phone', 'laptop'].map((name) => new NativeWriter(name, this.shared, chance()));
  }

  get writers(): readonly Writer[] {
    return [...this.natives, this.json];
  }

  /** Makes the records that are there before the load begins. */
  async prepare(): Promise<void> {
    const appointments = SETTLED.map((id) => ['appointments', { id, by: { nobody: '' } }] as const);
    const shared = [FREE_FOR_ALL, { id: 'shared', text: '', list: [''] } as JsonRecord] as const;
    if (!(await this.batch.post([...appointments, shared]))) throw new Error('no records to begin with');
  }

  /** Connects all devices and waits until everything is durable and everybody has it; says what differs. */
  async settle(): Promise<string[]> {
    await Promise.all(this.writers.map((writer) => writer.connect()));
    await this.exchange.send();
    // What one device makes durable in the first turn has reached the others in the second.
    for (const _ of [1, 2]) await Promise.all(this.writers.map((writer) => writer.settle()));
    const expected = withoutEmpty(byId(await readAll(this.shared)));
    // What differs after that is told below.
    await this.json.has((store) => equalityDeep(withoutEmpty(store), expected)).catch(() => {});
    return this.writers.flatMap((writer) => {
      const store = withoutEmpty(writer.store());
      if (equalityDeep(store, expected)) return [];
      return [`${this.user} ${writer.name} has something else: ${difference(store, expected)}`];
    });
  }

  async disconnected(): Promise<void> {
    const all = Promise.all(this.writers.map((writer) => writer.disconnected()));
    await inTime(all, () => `the end of the connections of ${this.user}`);
  }

  /**
   * What was seen or confirmed, and is not in the server, or not as it was.
   *
   * @param history whether that can be read: it is not kept in memory
   */
  async problems(history = true): Promise<string[]> {
    const bytes = await readBytes(this.shared);
    const collections = await readAll(this.shared);
    const [native, json] = [jsonOf(bytes), withoutEmpty(byId(collections))];
    const found = [
      ...(equalityDeep(native, json) ? [] : [`H3 and H1 differ: ${difference(native, json)}`]),
      ...this.ledger.missingFrom(collections),
      ...this.ledger.invented.map((what) => `never written: ${what}`),
      ...this.witness.problemsWith(bytes),
      ...(history ? await this.#history.problems() : []),
    ];
    this.witness.saw(bytes);
    this.ledger.sawAll(collections);
    return found.map((problem) => `${this.user}: ${problem}`);
  }

  /** Answers that a server which works does not give. */
  refusals(): string[] {
    const answers = [...this.json.errors, ...this.batch.refusals, ...this.exchange.refusals];
    return answers.map((answer) => `${this.user}: refused with ${answer}`);
  }

  close(): void {
    for (const writer of this.writers) writer.close();
  }
}

/** Collections without records are shown by some and left out by others. */
export function withoutEmpty(store: object): object {
  return Object.fromEntries(Object.entries(store).filter(([, records]) => Object.keys(records).length > 0));
}
