/** Asked by IPC, profiles the process until it is asked for the profile, which goes to a file: `node --import`. */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

/** Between two samples, in µs. */
const INTERVAL = 250;
const session = new Session();

process.on('message', async ({ profile, file }) => {
  if (profile === 'begin') {
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: INTERVAL });
    await session.post('Profiler.start');
  } else {
    const { profile: found } = await session.post('Profiler.stop');
    session.disconnect();
    writeFileSync(file, JSON.stringify(found));
  }
  process.send?.('done');
});
process.channel?.unref();
