/** A JSON device without a store: sends whole records, and knows of a message only its type. */
import { WebSocket } from 'ws';
import { closedBy, type Device } from './crowd.js';
import { RECORDS } from './edits.js';
import { COLLECTION } from './json-edits.js';
import { print } from './print.js';

/** Every message of a server begins with its type; the rest of it is not read, so that the load is light. */
const TYPE_AT = '{"type":"'.length;
const QUOTE = '"'.charCodeAt(0);
const typeOf = (message: Buffer): string =>
  message.toString('latin1', TYPE_AT, message.indexOf(QUOTE, TYPE_AT));

/** Edits are numbered, and a user makes them in order; a record has the last of each of its fields. */
const NUMBERED = /edited the (\d+)th time/g;

export class JsonDevice implements Device<string> {
  onUpdate: () => void = () => {};
  /** Called with the records of each collection; unless it is set, they are not read. */
  onFullSync: ((data: Record<string, object[]>) => void) | null = null;
  readonly #url: string;
  /** A `DATA_UPDATE` up to its document. */
  readonly #head: string;
  #ws: WebSocket | null = null;
  /** The number of the next edit. */
  #seen = 0;
  /** How many of the records were seen that each user is given first. */
  #records = 0;
  #answered: () => void = () => {};
  #lost: (error: Error) => void = () => {};

  constructor(port: number, userId: string, deviceId: string) {
    this.#url = `ws://127.0.0.1:${port}/sync?${new URLSearchParams({ userId, deviceId })}`;
    const envelope = JSON.stringify({ type: 'DATA_UPDATE', userId, deviceId });
    this.#head = `${envelope.slice(0, -1)},"data":{"collection":"${COLLECTION}","document":`;
  }

  /** Resolves when the server has confirmed the connection; pings are answered by `ws` itself. */
  async open(): Promise<void> {
    const confirmed = this.#answer();
    const ws = new WebSocket(this.#url, { perMessageDeflate: false, skipUTF8Validation: true });
    this.#ws = ws;
    ws.on('message', (data: Buffer) => this.#receive(data));
    ws.on('error', (error) => this.#lost(error));
    ws.on('close', (code, reason) => this.#lost(closedBy(code, reason)));
    await confirmed;
  }

  /** Sends a record, given as JSON. */
  send(record: string): void {
    this.#write(record, '');
  }

  /** The same; resolves when it is durable. */
  save(record: string): Promise<void> {
    const saved = this.#answer();
    this.#write(record, ',"ack":"saved"');
    return saved;
  }

  close(): void {
    this.#ws?.terminate();
  }

  #write(record: string, more: string): void {
    const now = Date.now();
    this.#ws?.send(`${this.#head}${record},"timestamp":${now}},"timestamp":${now}${more}}`);
  }

  /** Who waits is told when the connection is lost; where nobody does, that is no fault. */
  #answer(): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => {
      this.#answered = resolve;
      this.#lost = reject;
    });
    answer.catch(() => {});
    return answer;
  }

  #receive(message: Buffer): void {
    const type = typeOf(message);
    if (type === 'DATA_UPDATE') this.#seeUpdate(message);
    else if (type === 'ACK' || type === 'CONNECTION_CONFIRMED') this.#answered();
    else if (type === 'FULL_SYNC') this.onFullSync?.(JSON.parse(message.toString()).data);
    else if (type === 'ERROR') print(`The server refused a message: ${message}`);
  }

  /** A server may send a record once more, or only the last of several edits: with that, those before are seen. */
  #seeUpdate(message: Buffer): void {
    const edits = [...message.toString('latin1').matchAll(NUMBERED)].map(([, n]) => Number(n));
    const records = edits.length === 0 ? this.#records + 1 : RECORDS;
    for (; this.#records < Math.min(records, RECORDS); this.#records++) this.onUpdate();
    const edit = Math.max(...edits);
    for (; this.#seen <= edit; this.#seen++) this.onUpdate();
  }
}
