/** Of what was begun under each name, the last, while it is not done. */
export class LastOf<Name> {
  readonly #running = new Map<Name, Promise<void>>();

  add(name: Name, done: Promise<void>): void {
    const settled = (): void => {
      if (this.#running.get(name) === done) this.#running.delete(name);
    };
    this.#running.set(name, done);
    done.then(settled, settled);
  }

  /** Resolves when it is done, or has failed. */
  async settled(name: Name): Promise<void> {
    await this.#running.get(name)?.catch(() => {});
  }

  /** The same of all that were begun before. */
  async allSettled(): Promise<void> {
    await Promise.allSettled([...this.#running.values()]);
  }
}
