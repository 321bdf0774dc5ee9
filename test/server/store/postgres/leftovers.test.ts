/** What an erasure has left is deleted by each server, every minute. */
import { expect, onTestFinished, vi } from 'vitest';
import { PostgresFixture, withPostgres } from '../../../support/postgres.js';
import { PATIENCE } from '../../../support/wait.js';

const MINUTE = 60_000;
const LEFT = `
WITH e AS (INSERT INTO erasing (doc) VALUES (1000000))
INSERT INTO update_row (doc, clock, data) SELECT 1000000, n, ''::bytea FROM generate_series(1, 10) n`;

withPostgres(
  '[P7] [P8] where that takes long, a server has one connection busy with it, not one more each minute',
  async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const fixture = await PostgresFixture.create();
    const store = await fixture.open();
    onTestFinished(async () => {
      vi.useRealTimers();
      await store.close();
      await fixture.remove();
    });
    const { schema } = fixture;
    const left = async () => (await schema.query('SELECT doc FROM erasing')).rowCount;
    await schema.query(LEFT);
    const rows = await schema.hold('LOCK TABLE update_row IN ACCESS EXCLUSIVE MODE');
    vi.advanceTimersByTime(MINUTE);
    await expect.poll(() => schema.waiting(), { timeout: PATIENCE }).toBe(1);
    for (let minute = 0; minute < 10; minute++) {
      vi.advanceTimersByTime(MINUTE);
      await store.users(null, 1); // behind what the wiping asked for
    }
    expect(await schema.waiting()).toBe(1);
    await rows.release();
    await expect.poll(left, { timeout: PATIENCE }).toBe(0);
    await schema.query(LEFT);
    const leftLater = () => {
      vi.advanceTimersByTime(MINUTE);
      return left();
    };
    await expect.poll(leftLater, { timeout: PATIENCE }).toBe(0);
  },
);
