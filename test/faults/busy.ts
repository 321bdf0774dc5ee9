import { spawn } from 'node:child_process';

/** It goes on until who started it has ended, however that was. */
const SPIN = 'const { ppid } = process; while (process.ppid === ppid) for (let n = 0; n < 1e7; n++);';

/** So many processes run beside this one, which do nothing else, so that everything is later. They end with it. */
export function keepBusy(count: number): void {
  for (let left = count; left > 0; left--)
    spawn(process.execPath, ['--eval', SPIN], { stdio: 'ignore' }).unref();
}
