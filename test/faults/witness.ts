import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { jsonOfDoc } from '../support/replicas.js';

/** All bytes that some device got from the server, or that the server confirmed to their author. */
export class Witness {
  #seen = new Y.Doc();

  add(update: Uint8Array): void {
    Y.applyUpdate(this.#seen, update);
  }

  /** What is wrong with this whole document of the server, as a fresh client got it. */
  problemsWith(whole: Uint8Array): string[] {
    const seen = Y.encodeStateAsUpdate(this.#seen);
    const server = docOf(whole);
    if (isWaiting(server)) return ['the document of the server builds on changes that it does not have'];
    const before = jsonOfDoc(server);
    let lost = false;
    server.on('update', () => {
      lost = true;
    });
    Y.applyUpdate(server, seen);
    if (isWaiting(server)) return ['what was seen builds on changes that are lost'];
    const after = jsonOfDoc(server);
    if (lost) return [`changes that were seen are lost: ${difference(before, after)}`];
    // Two changes with one id would each hide the other from whoever has one of them.
    const otherOrder = jsonOfDoc(docOf(seen, whole));
    if (equalityDeep(after, otherOrder)) return [];
    return [`what was seen under the same ids is something else: ${difference(after, otherOrder)}`];
  }

  /** A fresh client got this from the server: now it was seen. */
  saw(whole: Uint8Array): void {
    this.#seen = docOf(whole);
  }
}

/** The records in this whole document. */
export const jsonOf = (whole: Uint8Array): object => jsonOfDoc(docOf(whole)) as object;

function docOf(...updates: Uint8Array[]): Y.Doc {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  return doc;
}

const isWaiting = ({ store }: Y.Doc): boolean => store.pendingStructs !== null || store.pendingDs !== null;

/** The first place where two JSON values differ. */
export function difference(one: unknown, other: unknown, path = ''): string {
  if (equalityDeep(one, other)) return path === '' ? 'no visible difference' : path;
  if (!isObject(one) || !isObject(other)) return `${path}: ${shown(one)} / ${shown(other)}`;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  const key = [...keys].find((each) => !equalityDeep(one[each], other[each]));
  return key === undefined ? path : difference(one[key], other[key], `${path}/${key}`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 120);
