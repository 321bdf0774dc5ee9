/** One read at a time; what is asked for meanwhile goes into the next one. Each costs a trip to another thread. */

interface Question<Key, Value> {
  readonly key: Key;
  readonly resolve: (value: Value) => void;
  readonly reject: (cause: unknown) => void;
}

/** Asked at once, at most. */
const MOST = 256;

export class GroupReader<Key, Value> {
  readonly #readAll: (keys: readonly Key[]) => Promise<readonly Value[]>;
  #waiting: Question<Key, Value>[] = [];
  #isReading = false;

  /** @param readAll the values in the order of the keys */
  constructor(readAll: (keys: readonly Key[]) => Promise<readonly Value[]>) {
    this.#readAll = readAll;
  }

  read(key: Key): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      if (!this.#isReading) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isReading = true;
    // What comes in the same turn of the event loop goes along.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) await this.#readSome(this.#waiting.splice(0, MOST));
    this.#isReading = false;
  }

  async #readSome(questions: readonly Question<Key, Value>[]): Promise<void> {
    try {
      const values = await this.#readAll(questions.map(({ key }) => key));
      for (const [index, { resolve }] of questions.entries()) resolve(values[index] as Value);
    } catch (cause) {
      for (const { reject } of questions) reject(cause);
    }
  }
}
