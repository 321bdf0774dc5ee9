import * as decoding from 'lib0/decoding';
import WebSocket from 'ws';
import * as Y from 'yjs';
import { messages } from '../../server/protocol/yjs.js';
import { NativeDevice } from '../support/devices/native-device.js';
import { Watched } from '../support/wait.js';
import type { Chance } from './chance.js';
import { type Fact, FREE_FOR_ALL, recordKey } from './ledger.js';
import type { Shared, Writer } from './writer.js';

interface Entry {
  readonly update: Uint8Array;
  facts: readonly Fact[];
}

/** A native device that edits, asks for checkpoints, and notes all that it gets. */
export class NativeWriter implements Writer {
  readonly name: string;
  readonly device: NativeDevice;
  readonly #shared: Shared;
  readonly #chance: Chance;
  readonly #events = new Watched();
  /** Own edits that no checkpoint has confirmed yet. */
  #journal: Entry[] = [];
  /** Checkpoints under way: the number of own edits that each confirms, counted from the first ever. */
  readonly #marks = new Map<number, number>();
  #confirmed = 0;
  #facts: Fact[] = [];
  #checkpoint = 0;
  #number = 0;
  readonly #made: string[] = [];

  constructor(name: string, shared: Shared, chance: Chance) {
    this.name = name;
    this.#shared = shared;
    this.#chance = chance;
    this.device = new NativeDevice(shared.url, shared.user, name);
    this.#watch();
  }

  get doc(): Y.Doc {
    return this.device.doc;
  }

  async connect(): Promise<void> {
    const { provider } = this.device;
    provider.connect();
    await this.#events.until(
      () => provider.synced || !provider.shouldConnect,
      () => `the sync of ${this.#shared.user} ${this.name}, closed with ${this.device.closes},`,
    );
  }

  /** The server is gone, or let go of this connection: from here on it edits offline. */
  async disconnected(): Promise<void> {
    const { provider } = this.device;
    await this.device.until(() => !provider.wsconnected);
    await this.disconnect();
  }

  async disconnect(): Promise<void> {
    this.device.offline();
    this.#events.changed();
  }

  edit(): void {
    const edit = this.#chance.pick([
      [40, () => this.#editSettled()],
      [15, () => this.#editContested()],
      [10, () => this.#makeShortLived()],
      [10, () => this.#removeShortLived()],
      [27, () => this.#editFreely()],
    ]);
    this.doc.transact(edit);
    this.#facts = [];
  }

  /** Asks for a checkpoint; of an edit made offline it speaks only after this connection's SyncStep2. */
  confirm(): void {
    const { provider } = this.device;
    if (!provider.synced || provider.ws?.readyState !== WebSocket.OPEN) return;
    this.#marks.set(++this.#checkpoint, this.#confirmed + this.#journal.length);
    provider.ws.send(new Uint8Array(messages.checkpoint(this.#checkpoint)));
  }

  get unconfirmed(): number {
    return this.#journal.length;
  }

  async settle(): Promise<void> {
    this.confirm();
    const n = this.#checkpoint;
    await this.device.until(() => this.device.checkpoints.includes(n));
  }

  store(): object {
    return this.device.json();
  }

  close(): void {
    this.device.close();
    this.doc.destroy(); // ends the timer of its awareness
  }

  #watch(): void {
    const { provider, doc, checkpoints } = this.device;
    provider.on('sync', () => this.#events.changed());
    provider.on('connection-close', () => {
      this.#marks.clear();
      this.#forgetWhatItLostItself();
    });
    const [sync, , , answered] = [0, 1, 2, 100].map((type) => provider.messageHandlers[type]);
    provider.messageHandlers[0] = (...args) => {
      this.#noteReceived(args[1]);
      sync?.(...args);
    };
    provider.messageHandlers[100] = (...args) => {
      answered?.(...args);
      this.#noteConfirmed(checkpoints.at(-1) ?? 0);
    };
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin === provider) return;
      for (const fact of this.#facts) this.#shared.ledger.issue(fact);
      this.#journal.push({ update, facts: this.#facts });
    });
  }

  #noteReceived(decoder: decoding.Decoder): void {
    const copy = decoding.clone(decoder);
    const isUpdate = decoding.readVarUint(copy) !== 0;
    if (isUpdate) this.#shared.witness.add(decoding.readVarUint8Array(copy));
  }

  #noteConfirmed(checkpoint: number): void {
    const count = (this.#marks.get(checkpoint) ?? 0) - this.#confirmed;
    this.#marks.delete(checkpoint);
    if (count <= 0) return;
    this.#confirmed += count;
    for (const { update, facts } of this.#journal.splice(0, count)) {
      this.#shared.witness.add(update);
      for (const fact of facts) this.#shared.ledger.confirm(fact);
    }
  }

  /**
   * Of two maps made apart, the author of one may have merged the other, and with it collected its own fields,
   * before they reached a disk (the exclusion of D4): nobody was told of them, and nobody can send them again.
   */
  #forgetWhatItLostItself(): void {
    for (const entry of this.#journal) entry.facts = entry.facts.filter((fact) => this.#has(fact));
  }

  #has(fact: Fact): boolean {
    const [collection = '', id = ''] = fact.record.split('/');
    if (fact.kind === 'removal' || collection !== 'consultations') return true;
    const record = this.device.collection(collection).get(id);
    return record instanceof Y.Map && record.has(fact.field);
  }

  #editSettled(): void {
    const id = this.#shared.settled[this.#chance.below(this.#shared.settled.length)] ?? '';
    const map = this.device.record('appointments', id);
    const value = ++this.#number;
    const nested = map.get('by');
    const isNested = this.#chance.happens(0.5) && nested instanceof Y.Map;
    const target: Y.Map<unknown> = isNested ? nested : map;
    target.set(this.name, value);
    const field = isNested ? `by.${this.name}` : this.name;
    this.#facts.push({ kind: 'value', record: recordKey('appointments', id), field, value });
  }

  /** Several devices make records of one id at the same time. */
  #editContested(): void {
    const id = this.#shared.contested(this.#chance);
    const field = `${this.name}-${++this.#number}`;
    const found = this.device.collection('consultations').get(id);
    if (found instanceof Y.Map) found.set(field, 1);
    else
      this.device.collection('consultations').set(
        id,
        new Y.Map<unknown>([
          ['id', id],
          [field, 1],
        ]),
      );
    this.#facts.push({ kind: 'value', record: recordKey('consultations', id), field, value: 1 });
  }

  #makeShortLived(): void {
    const id = `${this.name}-${++this.#number}`;
    this.device.collection('prescriptions').set(
      id,
      new Y.Map<unknown>([
        ['id', id],
        ['made', 1],
      ]),
    );
    this.#made.push(id);
    this.#facts.push({ kind: 'value', record: recordKey('prescriptions', id), field: 'made', value: 1 });
  }

  #removeShortLived(): void {
    const id = this.#made.shift();
    if (id === undefined) return;
    this.device.collection('prescriptions').delete(id);
    this.#facts.push({ kind: 'removal', record: recordKey('prescriptions', id) });
  }

  /** Of this nothing is known but the bytes: concurrent values, maps, text, arrays, deletions, large ones too. */
  #editFreely(): void {
    const map = this.device.record(FREE_FOR_ALL, 'shared');
    const value = `${this.name} ${++this.#number}`;
    const edit = this.#chance.pick<() => void>([
      [3, () => void map.set('last', value)],
      [1, () => void map.set('large', value.repeat(this.#chance.below(2_000)))],
      [1, () => void map.set('nested', new Y.Map([[this.name, value]]))],
      [3, () => editText(map, value, this.#chance)],
      [3, () => editList(map, value, this.#chance)],
    ]);
    edit();
  }
}

function editText(map: Y.Map<unknown>, value: string, chance: Chance): void {
  const text = map.get('text');
  if (!(text instanceof Y.Text)) map.set('text', new Y.Text(value));
  else if (text.length > 200) text.delete(chance.below(100), 100);
  else text.insert(chance.below(text.length + 1), value);
}

function editList(map: Y.Map<unknown>, value: string, chance: Chance): void {
  const list = map.get('list');
  if (!(list instanceof Y.Array)) map.set('list', Y.Array.from([value]));
  else if (list.length > 10) list.delete(chance.below(5), 5);
  else list.insert(chance.below(list.length + 1), [value, { by: value }]);
}
