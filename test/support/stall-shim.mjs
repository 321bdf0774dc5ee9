/**
 * Loaded before the server. Asked by IPC, its event loop sleeps for 1.5 s again and again, which takes no CPU, and
 * works for a moment in between; asked again, it does so no longer.
 */
const STALL = 1_500;
/** Shorter than the time between two looks of the server, so that each of them comes too late. */
const BREAK = 120;
const cell = new Int32Array(new SharedArrayBuffer(4));
let isStalled = false;

function stall() {
  if (!isStalled) return;
  Atomics.wait(cell, 0, 0, STALL);
  setTimeout(stall, BREAK);
}

process.on('message', () => {
  isStalled = !isStalled;
  setTimeout(stall, BREAK);
  process.send?.(isStalled);
});
process.channel?.unref();
