/**
 * Loaded into the server by `node --import`: how long its event loop was busy in one go, in time that its thread was
 * computing (other programs of the machine don't count), and what memory it held. Asked by IPC.
 */
import { readFileSync } from 'node:fs';

const busy = () =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ', 1)[0]) / 1e6;
const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]) / 1024;

let longest = 0;
let peak = 0;
let last = busy();

// Between two turns of this timer the loop runs what has become due: one long task, or a few short ones.
setInterval(() => {
  const now = busy();
  longest = Math.max(longest, now - last);
  peak = Math.max(peak, resident());
  last = busy();
}, 5).unref();

process.on('message', () => {
  globalThis.gc?.();
  process.send?.({ longest, peak, resident: resident() }, () => {
    longest = 0;
    peak = 0;
    last = busy();
  });
});
process.channel?.unref();
