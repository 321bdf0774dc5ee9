/** JSON as records are made of it. */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}
export type JsonRecord = JsonObject & { id: string | number };
/** All records of a user, by collection: what a FULL_SYNC and GET /api/sync carry. */
export type Collections = Record<string, JsonRecord[]>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
