/** What a server sees when all its clients lose it at once. Time is driven by hand, chance by a seed. */
import { expect, test } from 'vitest';
import { Connection } from '../../client/connection/connection.js';
import { noConnectivity } from '../../client/platform/connectivity.js';
import type { WebSocketConstructor } from '../../client/platform/platform.js';
import { settle } from '../support/connection-world.js';
import { FakeSocket } from '../support/fake-sockets.js';
import { seededRandom } from '../support/hostile.js';
import { ManualClock } from '../support/manual-clock.js';
import { PlainSource } from '../support/plain-source.js';
import { runs } from '../support/runs.js';

const CLIENTS = 1_000;
const STEP = 10;
const WINDOW = 100;
const OUTAGE = 40_000;

/**
 * The n-th attempts of all are spread evenly over a window of 1, 2, 4 … 30 s less the floor of 100 ms, which makes
 * 111, 53, 26 … of them in 100 ms, and 212 if all waves lay on top of each other. With the second attempt each
 * client also makes an exchange over HTTP: another 53. Five standard deviations are for chance.
 */
const EXPECTED = [1, 2, 4, 8, 16, 30].reduce((sum, s) => sum + (CLIENTS * WINDOW) / (s * 1_000 - 100), 53);
const BOUND = EXPECTED + 5 * Math.sqrt(EXPECTED);

/** All that reaches the server, and when. */
class Herd {
  readonly clock = new ManualClock();
  readonly arrivals: number[] = [];
  sockets: FakeSocket[] = [];
  #isUp = true;

  constructor(seed: number) {
    const random = seededRandom(seed);
    const platform = {
      WebSocket: this.#webSocket(),
      fetch: async () => {
        this.arrivals.push(this.clock.now());
        throw new TypeError('fetch failed');
      },
      clock: this.clock,
      connectivity: noConnectivity,
      random,
      newId: () => 'challenge',
    };
    for (let n = 0; n < CLIENTS; n++) {
      const address = { serverUrl: 'http://sync.test', userId: 'anna', deviceId: `d${n}` };
      new Connection({ ...address, source: new PlainSource(n + 1), platform, onChange: () => {} }).start();
    }
  }

  async takeIn(): Promise<void> {
    await settle();
    for (const socket of this.sockets) socket.welcomes();
    await settle();
    for (const socket of this.sockets) socket.answers(0);
    await settle();
  }

  async goDown(): Promise<void> {
    this.#isUp = false;
    this.arrivals.length = 0;
    for (const socket of this.sockets.splice(0)) socket.drops(1012);
    for (let passed = 0; passed < OUTAGE; passed += STEP) {
      this.clock.pass(STEP);
      await settle();
      for (const socket of this.sockets.splice(0)) socket.drops();
    }
  }

  #webSocket(): WebSocketConstructor {
    const herd = this;
    return class extends FakeSocket {
      constructor(url: string) {
        super(url);
        herd.sockets.push(this);
        if (!herd.#isUp) herd.arrivals.push(herd.clock.now());
      }
    };
  }
}

/** The most that arrived within any `WINDOW`. */
function densest(times: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [index, time] of times.entries()) {
    while (time - (times[first] ?? time) >= WINDOW) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

test.each([1, 2, 3].slice(0, runs(3)))(
  '[C6] 1,000 clients that lose a server at once come back spread out (seed %i)',
  async (seed) => {
    const herd = new Herd(seed);
    await herd.takeIn();
    await herd.goDown();
    expect(herd.arrivals.length).toBeGreaterThan(6 * CLIENTS);
    expect(densest(herd.arrivals)).toBeLessThan(BOUND);
    const late = herd.arrivals.filter((time) => time > herd.clock.now() - 10_000);
    expect(densest(late)).toBeLessThan(50);
  },
);
