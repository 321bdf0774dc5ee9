import type { AsyncStorageLike } from '../../client/local-store/async-storage/types.js';

/**
 * Stands in for React Native's AsyncStorage: a map whose calls take a moment, and whose process can end at any of
 * its writes.
 */
export class AsyncItems implements AsyncStorageLike {
  readonly items = new Map<string, string>();
  /** Calls of setItem and removeItem so far. */
  writes = 0;
  longest = 0;
  /** What the next setItem rejects with. */
  failure: Error | null = null;
  /** Writes from this one on are not carried out, nor is anything else; `Infinity`: the process lives. */
  endsAt = Number.POSITIVE_INFINITY;
  /** The write at which the process ends is carried out all the same. */
  lastIsCarriedOut = false;

  async getItem(key: string): Promise<string | null> {
    await this.moment();
    return this.items.get(key) ?? null;
  }

  async getAllKeys(): Promise<readonly string[]> {
    await this.moment();
    return [...this.items.keys()];
  }

  async setItem(key: string, value: string): Promise<void> {
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
    this.longest = Math.max(this.longest, value.length);
    await this.write(() => this.items.set(key, value));
  }

  async removeItem(key: string): Promise<void> {
    await this.write(() => this.items.delete(key));
  }

  /** The next process. */
  restart(): void {
    this.endsAt = Number.POSITIVE_INFINITY;
    this.writes = 0;
  }

  private async write(carryOut: () => void): Promise<void> {
    const number = this.writes;
    this.writes += 1;
    if (number < this.endsAt || (number === this.endsAt && this.lastIsCarriedOut)) carryOut();
    await this.moment();
  }

  private async moment(): Promise<void> {
    await null;
    if (this.writes > this.endsAt) throw new Error('the process has ended');
  }
}
