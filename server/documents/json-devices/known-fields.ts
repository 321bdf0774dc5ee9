import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';

interface Node {
  readonly fields: Map<string, Node>;
  /** What the device wrote up to this revision did not have it; a field is never known before the one around it. */
  since: number;
}

/** A field, from the collection on, and from which revision on it was sent. */
export type Learned = readonly [path: readonly string[], since: number];

const MAX_FIELDS = 4_096;
/** The step into an element of a list, whichever; no field can have this name (D6). */
const ELEMENT = '\t';

/** The fields that a device has ever sent, at any depth, with the collection as the first step. */
export class KnownFields {
  readonly #root: Node = { fields: new Map(), since: 0 };
  #size = 0;
  /** After this revision, nothing was new. */
  #learnedUpTo = 0;

  /**
   * Whether something was new.
   *
   * @param revision of the document before this is written
   */
  learn(name: string, value: Json, revision: number): boolean {
    const before = this.#size;
    this.#add(this.#root, name, value, revision);
    if (this.#size === before) return false;
    this.#learnedUpTo = Math.max(this.#learnedUpTo, revision);
    return true;
  }

  knows(collection: string, path: Path): boolean {
    let node = this.#root.fields.get(collection);
    for (const step of path) node = node?.fields.get(typeof step === 'string' ? step : ELEMENT);
    return node !== undefined;
  }

  /** Of a record, what the device can have sent in the write of this revision: all else it knew only later, or never. */
  sendable(collection: string, record: JsonObject, revision: number): JsonObject {
    const node = this.#root.fields.get(collection);
    return node === undefined ? {} : (partOf(record, node, revision) as JsonObject);
  }

  /** Whether it has sent fields that it did not know when it wrote this revision. */
  hasLearnedSince(revision: number): boolean {
    return this.#learnedUpTo >= revision;
  }

  #add(parent: Node, name: string, value: Json, revision: number): void {
    const node = parent.fields.get(name) ?? this.#create(parent, name, revision);
    if (node === null || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) for (const element of value) this.#add(node, ELEMENT, element, revision);
    else for (const key of Object.keys(value)) this.#add(node, key, value[key] as Json, revision);
  }

  /** What a device can make the server remember is bounded; what is not known is never taken for removed. */
  #create(parent: Node, name: string, since: number): Node | null {
    if (this.#size >= MAX_FIELDS) return null;
    this.#size++;
    const node: Node = { fields: new Map(), since };
    parent.fields.set(name, node);
    return node;
  }

  toJSON(): Json {
    return toJson(this.#root);
  }

  /** What it has sent only after this revision; older writes of it are of no account any more. */
  learnedAfter(revision: number): Learned[] {
    return this.#learnedUpTo > revision ? [...learnedIn(this.#root, [], revision)] : [];
  }

  static fromJSON(json: Json, learned: readonly Learned[] = []): KnownFields {
    const fields = new KnownFields();
    if (isObject(json)) for (const name of Object.keys(json)) fields.#restore(fields.#root, name, json[name]);
    for (const each of learned) fields.#date(each);
    return fields;
  }

  #restore(parent: Node, name: string, json: Json | undefined): void {
    const node = this.#create(parent, name, 0);
    if (node === null || !isObject(json)) return;
    for (const key of Object.keys(json)) this.#restore(node, key, json[key]);
  }

  #date([path, since]: Learned): void {
    let node: Node | undefined = this.#root;
    for (const step of path) node = node?.fields.get(step);
    if (node !== undefined) dateAll(node, since);
    this.#learnedUpTo = Math.max(this.#learnedUpTo, since);
  }
}

/** A field without fields is `0`, which is shorter than an empty object. */
const toJson = ({ fields }: Node): Json =>
  fields.size === 0 ? 0 : Object.fromEntries([...fields].map(([name, inner]) => [name, toJson(inner)]));

/** Those that are not as old as the field around them, which stands before them. */
function* learnedIn({ fields, since }: Node, path: readonly string[], after: number): Generator<Learned> {
  for (const [name, inner] of fields) {
    const to = [...path, name];
    if (inner.since > Math.max(since, after)) yield [to, inner.since];
    yield* learnedIn(inner, to, after);
  }
}

function dateAll(node: Node, since: number): void {
  node.since = since;
  for (const inner of node.fields.values()) dateAll(inner, since);
}

function partOf(value: Json, { fields }: Node, revision: number): Json {
  const of = (inner: Json, name: string): Json | undefined => {
    const node = fields.get(name);
    return node === undefined || node.since >= revision ? undefined : partOf(inner, node, revision);
  };
  if (Array.isArray(value)) return value.map((element) => of(element, ELEMENT) ?? element);
  if (!isObject(value)) return value;
  const parts = Object.keys(value).map((name) => [name, of(value[name] as Json, name)] as const);
  return Object.fromEntries(parts.filter((part): part is [string, Json] => part[1] !== undefined));
}
