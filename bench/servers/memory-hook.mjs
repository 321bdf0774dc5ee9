/** Asked by IPC, collects all garbage and tells what is left, in bytes, of the process and of its heap: `node --expose-gc --import`. */
process.on('message', () => {
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send?.({ rss, heap: heapUsed + external });
});
process.channel?.unref();
