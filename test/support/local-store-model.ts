import fc from 'fast-check';
import type { LocalStore, StoredChange } from '../../client/local-store/store.js';
import { change, Listener, type LocalStoreFixture, type LocalStoreTraits, textOf } from './local-store.js';

/** What a store is asked to do; numbers choose among what is there. */
type Step =
  | { readonly do: 'append'; readonly tab: number; readonly pending: readonly boolean[] }
  | { readonly do: 'confirm'; readonly tab: number; readonly from: number; readonly count: number }
  | { readonly do: 'compact'; readonly tab: number; readonly upTo: number }
  | { readonly do: 'restart' };

const tab = fc.nat(1);
export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        tab,
        pending: fc.array(fc.boolean(), { maxLength: 4 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('confirm' as const), tab, from: fc.nat(20), count: fc.nat(5) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const), tab, upTo: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  ),
  { maxLength: 25 },
);

interface Line {
  readonly key: number;
  readonly text: string;
  readonly pending: boolean;
}

const lineOf = ({ key, bytes, pending }: StoredChange): Line => ({ key, text: textOf(bytes), pending });
const same = (a: unknown, b: unknown, what: string): void => {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  if (left !== right) throw new Error(`${what}: ${left}, but the model has ${right}`);
};

/** One open store, and which keys it was told of or stored itself. */
interface Tab {
  readonly store: LocalStore;
  readonly known: Set<number>;
}

/** A list that does what `LocalStore` says, beside the store that is tested. */
export class ModelRun {
  private lines: Line[] = [];
  private highest = 0;
  private written = 0;
  private tabs: Tab[] = [];

  constructor(
    private readonly fixture: LocalStoreFixture,
    private readonly tabCount: number,
  ) {}

  async run(all: readonly Step[]): Promise<void> {
    await this.restart();
    for (const step of all) await this.take(step);
    await this.restart();
    for (const open of this.tabs) await this.append(open, []);
    await this.close();
  }

  private async take(step: Step): Promise<void> {
    if (step.do === 'restart') return this.restart();
    const open = this.tabs[step.tab % this.tabs.length] as Tab;
    if (step.do === 'append') await this.append(open, step.pending);
    else if (step.do === 'confirm') await this.confirm(open, step.from, step.count);
    else await this.compact(open, step.upTo);
  }

  private async append({ store, known }: Tab, pending: readonly boolean[]): Promise<void> {
    const added = pending.map((each) => change(`c${this.written++}`, each));
    const keys = await store.append((news) => {
      const expected = this.lines.filter(({ key }) => !known.has(key));
      same(news.changes.map(lineOf), expected, 'news');
      const nowPending = this.lines.filter((line) => line.pending).map(({ key }) => key);
      if (news.pending !== null) same([...news.pending], nowPending, 'pending');
      return added;
    });
    added.forEach((each, i) => {
      this.add(keys[i] ?? -1, textOf(each.bytes), each.pending);
    });
    for (const { key } of this.lines) known.add(key);
  }

  private async confirm({ store }: Tab, from: number, count: number): Promise<void> {
    const keys = this.lines.slice(from, from + count).map(({ key }) => key);
    await store.confirm([...keys, this.highest + 7]);
    this.lines = this.lines.map((line) => (keys.includes(line.key) ? { ...line, pending: false } : line));
  }

  /** Only what a tab knows can be in its snapshot. */
  private async compact(open: Tab, upTo: number): Promise<void> {
    await this.append(open, []);
    const upToKey = this.lines[upTo]?.key ?? this.highest;
    const text = `s${this.written++}`;
    const key = await open.store.compact(upToKey, change(text).bytes);
    if (this.lines.length === 0) return same(key, upToKey, 'nothing to replace');
    this.lines = this.lines.filter((line) => line.key > upToKey || line.pending);
    this.add(key, text, false);
    open.known.add(key);
  }

  private add(key: number, text: string, pending: boolean): void {
    if (!(key > this.highest)) throw new Error(`key ${key} after ${this.highest}`);
    this.highest = key;
    this.lines.push({ key, text, pending });
  }

  private async restart(): Promise<void> {
    await this.close();
    const storage = this.fixture.storage();
    for (let i = 0; i < this.tabCount; i += 1) {
      this.tabs.push({ store: await storage.open('anna', new Listener()), known: new Set() });
    }
  }

  private async close(): Promise<void> {
    for (const { store } of this.tabs) await store.close();
    this.tabs = [];
  }
}

/** Every run begins with a fixture of its own. */
export async function compareWithModel(
  create: () => Promise<LocalStoreFixture>,
  { secondStore, runs }: LocalStoreTraits,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const fixture = await create();
      await new ModelRun(fixture, secondStore === 'shares' ? 2 : 1).run(all).finally(() => fixture.remove());
    }),
    { numRuns: runs, seed: 20 },
  );
}
