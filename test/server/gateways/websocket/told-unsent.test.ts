/** How long what a device has told holds, and when it is noted (A0). */
import { expect, test } from 'vitest';
import { ToldUnsent } from '../../../../server/gateways/websocket/told-unsent.js';

const told = (count: number, toldAt: number) => ({ count, since: null, toldAt });
/** What is since 1970, for a time of the clock that never jumps. */
const epoch = (uptime: number): number => 1_000_000 + uptime;

test('[A0] what was told holds up to the last pong behind it', () => {
  const unsent = new ToldUnsent();
  expect(unsent.asOf(epoch(1), 1)).toBe(null);
  unsent.pong(900);
  unsent.tells(told(0, epoch(1_000)), 1_005);
  expect(unsent.asOf(epoch(9_000), 9_000)).toMatchObject({ count: 0, until: epoch(1_000) });
  unsent.pong(5_000);
  expect(unsent.asOf(epoch(9_000), 9_000)).toMatchObject({ toldAt: epoch(1_000), until: epoch(5_000) });
  unsent.tells(told(2, epoch(6_000)), 6_000);
  expect(unsent.asOf(epoch(9_000), 9_000)).toMatchObject({ count: 2, until: epoch(6_000) });
});

test('[A0] that there is something, or nothing any more, is noted soon, and how much of it each minute', () => {
  const unsent = new ToldUnsent();
  const tells = (count: number, at: number): boolean => {
    unsent.tells(told(count, at), at);
    const isDue = unsent.isNoteDue(at);
    if (isDue) unsent.noted(at);
    return isDue;
  };
  expect(unsent.isNoteDue(0)).toBe(false);
  expect(tells(0, 1_000)).toBe(true);
  expect(unsent.isNoteDue(100_000)).toBe(false);
  expect(tells(0, 2_000)).toBe(false);
  expect(tells(3, 3_000)).toBe(true);
  expect(tells(4, 4_000)).toBe(false);
  expect(unsent.isNoteDue(63_000)).toBe(true);
  expect(tells(0, 5_000)).toBe(true);
});
