/** How long it takes from the edit of one field to the new value of the hook that shows all records. */
import type { HookTimes } from './support/hook-screen.js';
import { print, quantile, table } from './support/print.js';
import type { Benchmark } from './support/types.js';

const RECORDS = 10_000;
/** At the median, from the edit to the hook's new value (in ms). */
const LIMIT = 5;

export const hooks: Benchmark = {
  name: 'hooks',
  line: `${RECORDS.toLocaleString('en')} records on a screen, one field changes: time to the hook's new value, rows rendered`,
  options: {
    short: 'fewer edits (at most 20 s)',
    check: `exit code 1 above ${LIMIT} ms, or for more than one row`,
  },
  longest: () => 120_000,
  run: async (options) => {
    // React and its renderer read it when they are loaded.
    process.env.NODE_ENV = 'production';
    const { measureHook, measureNaive } = await import('./support/hook-screen.js');
    const edits = options.has('short') ? 40 : 200;
    const naive = await measureNaive(RECORDS, edits);
    const ours = await measureHook(RECORDS, edits);
    print(`${RECORDS} records, ${edits} edits of one field, React in production mode, happy-dom, one run\n`);
    print(
      table([
        ['', 'hook, median', 'p95', 'screen, median', 'rows per edit', 'beside naive'],
        row('useSyncedData', ours, naive),
        row('toJSON() of the collection per change', naive, naive),
      ]),
    );
    const fits = quantile(ours.toHook, 0.5) < LIMIT && ours.rowsPerEdit === 1;
    return options.has('check') && !fits ? 1 : 0;
  },
};

const ms = (values: readonly number[], share: number): string => `${quantile(values, share).toFixed(2)} ms`;

function row(name: string, { toHook, toScreen, rowsPerEdit }: HookTimes, naive: HookTimes): string[] {
  const ratio = quantile(toHook, 0.5) / quantile(naive.toHook, 0.5);
  const share = `${ratio.toFixed(2)} ×`;
  return [name, ms(toHook, 0.5), ms(toHook, 0.95), ms(toScreen, 0.5), `${rowsPerEdit}`, share];
}
