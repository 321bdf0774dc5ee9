import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import sqlite from 'node-sqlite3-wasm';
import type { ExpoDatabase, ExpoSqlite } from '../../client/local-store/expo-sqlite.js';

/** SQLite in Node, with what is used of expo-sqlite's surface. */
export class NodeSqlite implements ExpoSqlite {
  /** Thrown by the next statement that writes. */
  failure: Error | null = null;
  readonly statements: string[] = [];

  constructor(private readonly folder: string) {}

  async openDatabaseAsync(name: string): Promise<ExpoDatabase> {
    await null;
    return new NodeDatabase(this, new sqlite.Database(join(this.folder, name)));
  }

  async deleteDatabaseAsync(name: string): Promise<void> {
    await rm(join(this.folder, name));
  }

  run<T>(sql: string, task: () => T): T {
    this.statements.push(sql);
    const { failure } = this;
    if (failure && /^(INSERT|UPDATE|DELETE)/.test(sql)) {
      this.failure = null;
      throw failure;
    }
    return task();
  }
}

class NodeDatabase implements ExpoDatabase {
  constructor(
    private readonly owner: NodeSqlite,
    private readonly db: sqlite.Database,
  ) {}

  async execAsync(sql: string): Promise<void> {
    await null;
    this.owner.run(sql, () => this.db.exec(sql));
  }

  async runAsync(sql: string, ...values: (string | number | Uint8Array | null)[]): Promise<unknown> {
    await null;
    return this.owner.run(sql, () => this.db.run(sql, values));
  }

  async getAllAsync<Row>(sql: string, ...values: (string | number | Uint8Array | null)[]): Promise<Row[]> {
    await null;
    return this.owner.run(sql, () => this.db.all(sql, values)) as Row[];
  }

  /** As expo-sqlite does it. */
  async withTransactionAsync(task: () => Promise<void>): Promise<void> {
    try {
      await this.execAsync('BEGIN');
      await task();
      await this.execAsync('COMMIT');
    } catch (error) {
      await this.execAsync('ROLLBACK');
      throw error;
    }
  }

  async closeAsync(): Promise<void> {
    if (!this.db.isOpen) throw new Error('Access to closed resource');
    this.db.close();
  }
}
