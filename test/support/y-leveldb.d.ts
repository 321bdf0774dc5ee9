/** The package ships types, but does not export them. */
declare module 'y-leveldb' {
  import type { Doc } from 'yjs';

  export const keyEncoding: { encode(key: (string | number)[]): Buffer };

  export class LeveldbPersistence {
    constructor(folder: string);
    storeUpdate(name: string, update: Uint8Array): Promise<number>;
    getYDoc(name: string): Promise<Doc>;
    getStateVector(name: string): Promise<Uint8Array>;
    flushDocument(name: string): Promise<void>;
    clearDocument(name: string): Promise<void>;
    getAllDocNames(): Promise<string[]>;
    setMeta(name: string, key: string, value: unknown): Promise<void>;
    getMeta(name: string, key: string): Promise<unknown>;
    destroy(): Promise<void>;
  }
}
