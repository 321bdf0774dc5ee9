import { isObject, type Json } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';

type Node = Map<string, Node>;

const MAX_FIELDS = 4_096;
/** The step into an element of a list, whichever; no field can have this name (D6). */
const ELEMENT = '\t';

/** The fields that a device has ever sent, at any depth, with the collection as the first step. */
export class KnownFields {
  readonly #root: Node = new Map();
  #size = 0;

  /** Whether something was new. */
  learn(name: string, value: Json): boolean {
    const before = this.#size;
    this.#add(this.#root, name, value);
    return this.#size > before;
  }

  knows(collection: string, path: Path): boolean {
    let node = this.#root.get(collection);
    for (const step of path) node = node?.get(typeof step === 'string' ? step : ELEMENT);
    return node !== undefined;
  }

  #add(parent: Node, name: string, value: Json): void {
    const node = parent.get(name) ?? this.#create(parent, name);
    if (node === null || typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) for (const element of value) this.#add(node, ELEMENT, element);
    else for (const key of Object.keys(value)) this.#add(node, key, value[key] as Json);
  }

  /** What a device can make the server remember is bounded; what is not known is never taken for removed. */
  #create(parent: Node, name: string): Node | null {
    if (this.#size >= MAX_FIELDS) return null;
    this.#size++;
    const node: Node = new Map();
    parent.set(name, node);
    return node;
  }

  toJSON(): Json {
    return toJson(this.#root);
  }

  static fromJSON(json: Json): KnownFields {
    const fields = new KnownFields();
    if (isObject(json)) for (const name of Object.keys(json)) fields.#restore(fields.#root, name, json[name]);
    return fields;
  }

  #restore(parent: Node, name: string, json: Json | undefined): void {
    const node = this.#create(parent, name);
    if (node === null || !isObject(json)) return;
    for (const key of Object.keys(json)) this.#restore(node, key, json[key]);
  }
}

/** A field without fields is `0`, which is shorter than an empty object. */
const toJson = (node: Node): Json =>
  node.size === 0 ? 0 : Object.fromEntries([...node].map(([name, inner]) => [name, toJson(inner)]));
