/** The arithmetic of limits, by a clock that passes when the test says so (S4). */
import { describe, expect, test } from 'vitest';
import type { SyncError } from '../../../server/errors.js';
import { FlowControl, OVER_RATE_TIMEOUT } from '../../../server/gateways/websocket/flow-control.js';
import { RateLimiter, RateLimiters, Slots, TokenBucket } from '../../../server/net/token-bucket.js';
import { ManualClock } from '../../support/manual-clock.js';

const NO_LIMIT = { rate: Number.POSITIVE_INFINITY, burst: Number.POSITIVE_INFINITY };

describe('[S4] a token bucket', () => {
  test('the burst may come at once; one more has to wait for its token', () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket({ rate: 100, burst: 1_000 }, clock.now);
    expect(bucket.take(1_000)).toBe(0);
    expect(bucket.take(1)).toBe(10);
    clock.pass(9);
    expect(bucket.wait).toBe(1);
    clock.pass(1);
    expect(bucket.wait).toBe(0);
  });

  test('it fills at its rate, and no further than its burst', () => {
    const clock = new ManualClock();
    const bucket = new TokenBucket({ rate: 100, burst: 1_000 }, clock.now);
    bucket.take(1_000);
    clock.pass(5_000);
    expect([bucket.take(500), bucket.take(1)]).toEqual([0, 10]);
    clock.pass(1_000_000);
    expect([bucket.isFull, bucket.take(1_000), bucket.take(1)]).toEqual([true, 0, 10]);
  });

  test('a clock that goes back takes nothing away, and gives nothing', () => {
    let now = 10_000;
    const bucket = new TokenBucket({ rate: 1, burst: 2 }, () => now);
    bucket.take(2);
    now = 0;
    expect([bucket.wait, bucket.waitForOne]).toEqual([0, 1_000]);
  });

  test('without a limit nobody waits', () => {
    const bucket = new TokenBucket(NO_LIMIT, () => 0);
    expect([bucket.take(1e15), bucket.isFull, bucket.waitForOne]).toEqual([0, true, 0]);
    const noRate = new TokenBucket({ rate: Number.POSITIVE_INFINITY, burst: 10 }, () => 0);
    expect([noRate.take(11), noRate.wait]).toEqual([0, 0]);
  });
});

test('[S4] a rate limiter is used up by messages or by bytes, whichever comes first', () => {
  const rates = { messages: { rate: 1, burst: 2 }, bytes: { rate: 100, burst: 1_000 } };
  const limiter = new RateLimiter(rates, () => 0);
  expect([limiter.take(1, 1_000), limiter.take(1, 0), limiter.take(0, 50)]).toEqual([0, 0, 500]);
  expect(limiter.take(1, 0)).toBe(1_000);
});

test('[S4] rate limiters are kept as long as something of them is used up, and not longer', () => {
  const clock = new ManualClock();
  const all = new RateLimiters({ messages: { rate: 10, burst: 10 }, bytes: NO_LIMIT }, clock.now);
  for (let i = 0; i < 1_000; i++) all.of(`user ${i}`).take(10, 0);
  clock.pass(999);
  all.sweep();
  expect([all.size, all.of('user 1').waitForOne]).toEqual([1_000, 0]);
  clock.pass(1);
  all.sweep();
  expect(all.size).toBe(0);
});

test('[S4] slots: as many as the limit, and one that is given back is free again', () => {
  const slots = new Slots(2);
  slots.take('anna');
  const give = slots.take('anna');
  expect([slots.isFull('anna'), slots.isFull('bert')]).toEqual([true, false]);
  give();
  expect(slots.isFull('anna')).toBe(false);
  slots.take('anna');
  expect(slots.isFull('anna')).toBe(true);
});

test('[S4] a slot that is given back twice is one slot: that of somebody else stays taken', () => {
  const slots = new Slots(2);
  const give = slots.take('anna');
  slots.take('anna');
  give();
  give();
  slots.take('anna');
  expect(slots.isFull('anna')).toBe(true);
});

/** A connection with 10 messages at once, then 10 a second. */
class Line {
  readonly clock = new ManualClock();
  readonly handled: number[] = [];
  readonly pauses: number[] = [];
  received = 0;
  isHeld = false;
  cut: SyncError | null = null;
  readonly flow: FlowControl;

  constructor(bytes = NO_LIMIT) {
    const received = () => this.received;
    this.flow = new FlowControl({
      socket: {
        hold: () => {
          this.isHeld = true;
        },
        release: () => {
          this.isHeld = false;
        },
        cutOff: (error) => {
          this.cut = error;
        },
      },
      limiter: new RateLimiter({ messages: { rate: 10, burst: 10 }, bytes }, this.clock.now),
      get received() {
        return received();
      },
      now: this.clock.now,
      after: (ms, task) => void this.clock.after(ms, task),
      onPause: () => this.pauses.push(this.clock.now()),
      inTurn: (task) => task(),
    });
  }

  send(from: number, to: number): void {
    for (let n = from; n <= to; n++) this.flow.take(() => this.handled.push(n));
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index + 1);

describe('[S4] a connection over its rate', () => {
  test('MESSAGE_BURST: at the limit it is read on, one past it not, until the token is there', () => {
    const line = new Line();
    line.send(1, 10);
    expect([line.isHeld, line.pauses.length]).toEqual([false, 0]);
    line.send(11, 11);
    expect([line.isHeld, line.pauses.length, line.handled]).toEqual([true, 1, upTo(11)]);
    line.clock.pass(99);
    expect(line.isHeld).toBe(true);
    line.clock.pass(1);
    expect(line.isHeld).toBe(false);
  });

  test('what had come in by then is handled at the rate, in its order, and nothing is lost', () => {
    const line = new Line();
    line.send(1, 30);
    expect(line.handled).toEqual(upTo(11));
    line.clock.pass(1_000);
    expect(line.handled).toEqual(upTo(21));
    line.clock.pass(10_000);
    expect([line.handled, line.isHeld, line.cut]).toEqual([upTo(30), false, null]);
  });

  test('BYTE_BURST: all bytes of the stream count, those of a message in pieces, too', () => {
    const line = new Line({ rate: 100, burst: 1_000 });
    line.received = 1_000;
    line.send(1, 1);
    expect(line.isHeld).toBe(false);
    line.received = 1_001;
    line.send(2, 2);
    expect([line.isHeld, line.handled]).toEqual([true, [1, 2]]);
    line.clock.pass(10);
    expect(line.isHeld).toBe(false);
  });

  test('what is sent because it asked counts as if it had sent it', () => {
    const line = new Line({ rate: 100, burst: 1_000 });
    line.flow.charge(1_000);
    expect(line.isHeld).toBe(false);
    line.flow.charge(100);
    expect(line.isHeld).toBe(true);
    line.flow.charge(100);
    line.clock.pass(1_999);
    expect(line.isHeld).toBe(true);
    line.clock.pass(1);
    expect(line.isHeld).toBe(false);
  });

  /** Sends as fast as it may, up to a time after the first pause. */
  function flood(line: Line, ms: number): void {
    line.send(1, 11);
    const end = (line.pauses[0] ?? 0) + ms;
    while (line.clock.now() < end) {
      line.clock.pass(Math.min(100, end - line.clock.now()));
      if (line.clock.now() < end) line.send(0, 1);
    }
  }

  test('it is closed with 1013 after 60 s of it, and not before', () => {
    const early = new Line();
    flood(early, OVER_RATE_TIMEOUT - 1);
    expect(early.cut).toBeNull();
    const late = new Line();
    flood(late, OVER_RATE_TIMEOUT);
    expect(late.cut?.closeCode).toBe(1013);
    const handled = late.handled.length;
    late.send(1, 100);
    late.clock.pass(10_000);
    expect(late.handled).toHaveLength(handled);
  });

  test('60 s that are not in one piece are none: a second within the rate begins anew', () => {
    const line = new Line();
    for (let n = 0; n < 100; n++) {
      line.send(1, 40);
      line.clock.pass(10_000);
    }
    expect([line.cut, line.handled.length]).toEqual([null, 4_000]);
  });

  test('a debt that is paid only after 60 s ends it, too', () => {
    const line = new Line({ rate: 1, burst: 100 });
    line.received = 1_000;
    line.send(1, 1);
    line.clock.pass(OVER_RATE_TIMEOUT - 1);
    expect(line.cut).toBeNull();
    line.clock.pass(1);
    expect(line.cut?.code).toBe('OVERLOADED');
  });

  test('what had come in when it ends is handled all the same', () => {
    const line = new Line();
    line.send(1, 30);
    line.flow.drain();
    expect(line.handled).toEqual(upTo(30));
  });
});
