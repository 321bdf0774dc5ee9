/** How far a long command is, where somebody watches. */
const WIDTH = 30;
/** Between two lines where nobody watches, in ms. */
const PAUSE = 10_000;

export type ShowProgress = (done: number, total: number) => void;

/** A line that is written over itself; in a log, one now and then. */
export function progressOf(what: string): ShowProgress {
  let said = performance.now();
  return (done, total) => {
    const { stderr } = process;
    if (stderr.isTTY) stderr.write(`\r${barOf(done, total)} ${what}${done === total ? '\n' : ''}`);
    else if (performance.now() - said >= PAUSE) {
      said = performance.now();
      stderr.write(`${done} of ${total} ${what}\n`);
    }
  };
}

function barOf(done: number, total: number): string {
  const filled = Math.round((WIDTH * done) / total);
  return `[${'#'.repeat(filled).padEnd(WIDTH)}] ${done} of ${total}`;
}
