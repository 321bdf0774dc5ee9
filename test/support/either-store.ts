/** The store that a run of tests is about: that which they have anyway, or, with `TEST_STORE=postgres`, a PostgreSQL. */
import { type MemoryContents, MemoryStore } from '../../server/store/memory/memory-store.js';
import type { Store } from '../../server/store/store.js';

const ON_POSTGRES = process.env.TEST_STORE === 'postgres';

/** What a server is told besides, so that it has it: a schema of its own. */
export async function storeOptions(): Promise<Readonly<Record<string, string>>> {
  if (!ON_POSTGRES) return {};
  const { PostgresSchema } = await import('./postgres.js');
  return { STORE: (await PostgresSchema.create()).url };
}

/** The store of a model, which is stopped and held by hand. */
export interface ModelStore extends Store {
  /** What is durable. */
  readonly contents: MemoryContents;
  /** From now on nothing becomes durable until `release`. */
  hold(): void;
  release(): void;
  /** Lets everything happen that waits for nothing but its turn. */
  quiet(): Promise<void>;
  /** What a process finds that is started after this one was killed: what is durable. */
  restarted(): Promise<ModelStore>;
}

class MemoryModelStore extends MemoryStore implements ModelStore {
  quiet(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  async restarted(): Promise<ModelStore> {
    return new MemoryModelStore(new Map(this.contents));
  }
}

/** It is there until the next one is opened, or the test has ended. */
export async function openModelStore(): Promise<ModelStore> {
  if (!ON_POSTGRES) return new MemoryModelStore();
  const { openPostgresModel } = await import('./postgres-model-store.js');
  return openPostgresModel();
}
