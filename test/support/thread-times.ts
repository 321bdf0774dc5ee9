import { readFileSync } from 'node:fs';

/** What Linux knows of a thread, in ms: others on the machine make it wait, and add nothing to what it worked. */
export interface ThreadTimes {
  readonly worked: number;
  /** So long it had to wait for a processor. */
  readonly queued: number;
}

/** Of the first thread of a process, or of this one. */
export function threadTimes(pid?: number): ThreadTimes {
  const thread = pid === undefined ? 'thread-self' : `${pid}/task/${pid}`;
  const [worked = 0, queued = 0] = readFileSync(`/proc/${thread}/schedstat`, 'latin1')
    .split(' ')
    .map((nanoseconds) => Number(nanoseconds) / 1e6);
  return { worked, queued };
}
