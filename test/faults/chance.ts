import { seededRandom } from '../support/hostile.js';

/** Random decisions that are the same for the same seed. */
export class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  between(from: number, to: number): number {
    return from + this.#random() * (to - from);
  }

  happens(probability: number): boolean {
    return this.#random() < probability;
  }

  /** One of the actions, by its weight. */
  pick<T>(weighted: readonly (readonly [weight: number, choice: T])[]): T {
    let left = this.#random() * weighted.reduce((sum, [weight]) => sum + weight, 0);
    const found = weighted.find(([weight]) => {
      left -= weight;
      return left < 0;
    });
    return (found ?? (weighted[0] as readonly [number, T]))[1];
  }
}
