/** Batches after one has failed (P2, P3). */
import { expect, test } from 'vitest';
import { GroupWriter, type Job } from '../../../server/store/group-writer.js';

test('[P3] what was handed over between a failure and the reopening does not wait for somebody else', async () => {
  let isBroken = true;
  const written: number[] = [];
  const writer = new GroupWriter<Job>(
    async (jobs) => {
      if (isBroken) throw new Error('broken');
      written.push(...jobs.map(({ size }) => size));
    },
    (jobs, cause) => {
      for (const { reject } of jobs) reject(cause);
    },
  );
  const add = (size: number): Promise<void> =>
    new Promise((resolve, reject) => writer.add({ size, resolve, reject }));
  await expect(add(1)).rejects.toThrow('broken');
  await writer.idle();
  const late = add(2);
  await writer.idle();
  expect(written).toEqual([]);
  isBroken = false;
  writer.resume();
  await late;
  expect(written).toEqual([2]);
});
