import { isObject, type Json, type JsonObject, type JsonRecord } from '../../shared/json.js';

/**
 * Who wrote what, where, and on top of what: what a run of devices may leave behind. Every value is written once, so
 * that it tells its author; what an edit replaced is what its author had in front of it.
 */
interface Deed {
  readonly device: string;
  readonly record: string;
  /** Times of full agreement before it. */
  readonly phase: number;
  /** When it was durable on the server, or carried there by a later write of its author; `null`: not yet. */
  receivedAt: number | null;
}

/** Of a leaf; `value` is `null` for a removal. */
export interface Edit extends Deed {
  readonly kind: 'edit';
  readonly path: string;
  readonly value: string | null;
  /** What stood there before its eyes. */
  readonly old: string | undefined;
}

/** Of a record, or of an element of its list, as a whole. */
export interface Event extends Deed {
  readonly kind: 'create' | 'delete' | 'restore' | 'dropItem';
  /** What an element has in its path. */
  readonly path: string;
}

export type Mark = Edit | Event;
type Leaves = ReadonlyMap<string, string>;

/** A record by the paths of its leaves: `a`, `nested/x`, `items/e1/p`; a tag is its own path. */
export function leavesOf(record: JsonObject): Leaves {
  const leaves = new Map<string, string>();
  const visit = (value: Json, path: string): void => {
    if (Array.isArray(value)) for (const element of value) visitElement(element, path);
    else if (isObject(value)) visitFields(value, `${path}/`);
    else leaves.set(path, `${value}`);
  };
  const visitElement = (element: Json, path: string): void => {
    if (isObject(element)) visitFields(element, `${path}/${element.id}/`);
    else leaves.set(`${path}/${element}`, `${element}`);
  };
  const visitFields = (fields: JsonObject, path: string): void => {
    for (const [name, field] of Object.entries(fields)) if (name !== 'id') visit(field, path + name);
  };
  visitFields(record, '');
  return leaves;
}

export class Ledger {
  phase = 0;
  /** Whether nobody can tell what was made when. */
  #isUntimed = false;
  readonly #edits = new Map<string, Edit>();
  #marks: Mark[] = [];
  #agreed = new Map<string, Leaves>();
  #wasKilled = false;
  /** What was ever deleted. */
  readonly #deleted = new Set<string>();
  readonly #shownAgain = new Set<string>();
  #count = 0;

  /** A new value, and the edit that writes it. */
  write(device: string, record: string, path: (value: string) => string, old: string | undefined): Edit {
    const value = `${device}${++this.#count}`;
    const edit: Edit = { ...this.#deed(device, record), kind: 'edit', path: path(value), value, old };
    this.#edits.set(value, edit);
    this.#marks.push(edit);
    return edit;
  }

  remove(device: string, record: string, path: string, old: string): Edit {
    const edit: Edit = { ...this.#deed(device, record), kind: 'edit', path, value: null, old };
    this.#marks.push(edit);
    return edit;
  }

  event(device: string, record: string, kind: Event['kind'], path = ''): Event {
    const event: Event = { ...this.#deed(device, record), kind, path };
    if (kind === 'delete') this.#deleted.add(record);
    this.#marks.push(event);
    return event;
  }

  /**
   * Somebody changes a record that he deleted himself, and that a full sync without the deletion showed him again:
   * by L7, what is deleted since a version that he saw stays deleted, and the change is dropped.
   */
  changedDeleted(record: string): void {
    this.#shownAgain.add(record);
  }

  /** A device that names no times comes back with a queue. */
  isUntimed(): void {
    this.#isUntimed = true;
  }

  killed(): void {
    this.#wasKilled = true;
  }

  /** Everybody has everything, and it is this. */
  agree(records: ReadonlyMap<string, JsonRecord>): void {
    this.phase++;
    this.#marks = [];
    this.#wasKilled = false;
    this.#isUntimed = false;
    this.#shownAgain.clear();
    this.#agreed = new Map([...records].map(([id, record]) => [id, leavesOf(record)]));
  }

  /** What these records can't be after what was done. */
  problems(records: ReadonlyMap<string, JsonRecord>): string[] {
    const ids = new Set([
      ...records.keys(),
      ...this.#agreed.keys(),
      ...this.#marks.map(({ record }) => record),
    ]);
    return [...ids].flatMap((id) => this.#problemsOf(id, records.get(id)).map((text) => `${id}: ${text}`));
  }

  #deed(device: string, record: string): Deed {
    return { device, record, phase: this.phase, receivedAt: null };
  }

  #problemsOf(id: string, record: JsonRecord | undefined): string[] {
    const marks = this.#marks.filter((mark) => mark.record === id);
    const leaves = record === undefined ? undefined : leavesOf(record);
    const strangers = leaves === undefined ? [] : this.#strangers(id, leaves);
    if (this.#isUntimed) return strangers;
    return [
      ...strangers,
      ...this.#presence(id, leaves, marks),
      ...(leaves === undefined ? [] : this.#undone(id, leaves, marks)),
      ...this.#ofOneEditor(id, leaves, marks),
    ];
  }

  /** A value stands only where its author wrote it. */
  #strangers(id: string, leaves: Leaves): string[] {
    return [...leaves].flatMap(([path, value]) => {
      const edit = this.#edits.get(value);
      const isThere = edit !== undefined && edit.record === id && edit.path === path;
      return isThere ? [] : [`${path} is ${value}, which nobody wrote there`];
    });
  }

  #presence(id: string, leaves: Leaves | undefined, marks: readonly Mark[]): string[] {
    const received = (kind: Mark['kind']) => marks.some((mark) => mark.kind === kind && isReceived(mark));
    if (received('restore')) return [];
    const was = this.#agreed.has(id);
    const [created, deleted] = [received('create'), received('delete')];
    if (leaves === undefined && was && !deleted) return ['is gone, and nobody deleted it'];
    if (leaves !== undefined && !was && !created) return ['is there, and nobody created it'];
    if (leaves !== undefined && was && deleted && !created) return ['is there, though it was deleted'];
    // After a kill, who was told of a deletion may be taken for one who was not (L7).
    const isForgotten = this.#wasKilled && this.#deleted.has(id);
    if (leaves === undefined && !was && created && !deleted && !isForgotten)
      return ['is gone, though it was created'];
    return [];
  }

  /** What was replaced by somebody who saw it is gone; what nobody replaced is there. */
  #undone(id: string, leaves: Leaves, marks: readonly Mark[]): string[] {
    // Who brings something back brings back all of it, as it was in front of him.
    if (marks.some(({ kind }) => kind === 'restore' || kind === 'delete')) return [];
    const noItems = marks.some(({ kind }) => kind === 'dropItem');
    const agreed = this.#agreed.get(id) ?? new Map<string, string>();
    const edits = marks.filter((mark) => mark.kind === 'edit');
    const paths = new Set([...leaves.keys(), ...agreed.keys(), ...edits.map(({ path }) => path)]);
    return [...paths].flatMap((path) => {
      if (noItems && path.startsWith('items/')) return [];
      const here = edits.filter((edit) => edit.path === path);
      const received = here.filter(isReceived);
      const heads = headsOf(agreed.get(path), received);
      const value = leaves.get(path);
      if (heads.has(value)) return [];
      // What was removed may have been added just before: then the remover sent what it had once seen anyway.
      const isToggle = received.some((edit) => edit.value === null && edit.old !== agreed.get(path));
      const isUncertain = received.some((edit) => edit.value === null) && this.#wasKilled;
      if (isToggle || isUncertain) return [];
      return [`${path} is ${value}, not ${[...heads].join(' or ')}`];
    });
  }

  /** Where one device alone changed a record, all that it did is there. */
  #ofOneEditor(id: string, leaves: Leaves | undefined, marks: readonly Mark[]): string[] {
    const devices = new Set(marks.map(({ device }) => device));
    if (devices.size !== 1 || devices.has('admin') || !marks.every(isReceived)) return [];
    if (this.#shownAgain.has(id)) return [];
    const agreed = this.#agreed.get(id);
    const left = agreed === undefined ? null : new Map(agreed);
    const wanted = marks.reduce(after, left);
    const isToggle = marks.some((mark, at) => isRemoval(mark) && !isOf(agreed, mark, marks.slice(0, at)));
    // Who takes back at once what he just did may be taken for somebody who did not know of it yet.
    const isCreation = (mark: Mark) => mark.kind === 'create' && this.#deleted.has(id);
    const isUncertain = marks.some((mark) => isRemoval(mark) || isCreation(mark)) && this.#wasKilled;
    if (isToggle || isUncertain) return [];
    const [found, expected] = [leaves, wanted].map(
      (each) => JSON.stringify(each && [...each].sort()) ?? 'null',
    );
    return found === expected ? [] : [`is ${found}, its only editor left ${expected}`];
  }
}

const isReceived = ({ receivedAt }: Mark): boolean => receivedAt !== null;

const isRemoval = (mark: Mark): boolean =>
  mark.kind === 'edit' ? mark.value === null : mark.kind !== 'create';

/** Whether what a mark removes was there when all agreed. */
function isOf(agreed: Leaves | undefined, mark: Mark, earlier: readonly Mark[]): boolean {
  if (mark.kind === 'edit') return agreed?.get(mark.path) === mark.old;
  const isAgain = (each: Mark) =>
    each.kind === 'create' || (each.kind === mark.kind && each.path === mark.path);
  return [...(agreed?.keys() ?? [])].some((path) => path.startsWith(mark.path)) && !earlier.some(isAgain);
}

function after(leaves: Map<string, string> | null, mark: Mark): Map<string, string> | null {
  if (mark.kind === 'delete') return null;
  const next = new Map(leaves);
  if (mark.kind === 'dropItem')
    for (const path of next.keys()) if (path.startsWith(mark.path)) next.delete(path);
  if (mark.kind !== 'edit') return next;
  if (mark.value === null) next.delete(mark.path);
  else next.set(mark.path, mark.value);
  return next;
}

/** What nobody replaced of what arrived; `undefined`: nothing there. */
function headsOf(agreed: string | undefined, received: readonly Edit[]): Set<string | undefined> {
  const byValue = new Map(received.map((edit) => [edit.value, edit]));
  const replaced = new Set<string | undefined>();
  for (const edit of received) if (edit.old !== undefined) replaced.add(edit.old);
  const isAll = agreed === undefined && received.length > 0;
  const heads = new Set<string | undefined>(isAll || replaced.has(agreed) ? [] : [agreed]);
  for (const { value } of byValue.values()) {
    if (value === null) heads.add(undefined);
    else if (!replaced.has(value)) heads.add(value);
  }
  return heads;
}
