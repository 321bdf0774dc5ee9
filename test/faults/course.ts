/** What became of a device: its last events, for whoever looks for the cause of a problem. */
import type { JsonRecord } from '../../shared/json.js';
import { type ById, byId } from '../support/clinic.js';
import type { JsonDevice } from '../support/devices/json-device.js';
import type { Change, ServerMessage } from '../support/devices/json-words.js';
import { recordKey } from './ledger.js';

/** So many events are kept. */
export const KEPT = 300;

/** What an event shows of a record: `null` that it is not there, `undefined` nothing. */
type About = (record: string) => JsonRecord | null | undefined;

const nothing: About = () => undefined;

export function aboutAll(records: ById): About {
  const then = { ...records }; // what is applied to them later replaces whole collections
  return (key) => {
    const [collection = '', id = ''] = key.split('/');
    return then[collection]?.[id] ?? null;
  };
}

type Named = Pick<Change, 'collection' | 'document' | 'documentId'>;

export const keyOf = ({ collection, document, documentId = '' }: Named): string =>
  recordKey(collection, document?.id ?? documentId);

export const aboutOne =
  (named: Named): About =>
  (key) =>
    key === keyOf(named) ? (named.document ?? null) : undefined;

/** Of a moment by the clock that never jumps, as the logs of nodes have it. */
const timeOf = (at: number): string => new Date(performance.timeOrigin + at).toISOString();

export class Course {
  readonly #events: { readonly at: number; readonly what: string; readonly about: About }[] = [];

  note(what: string, about: About = nothing): void {
    this.#events.push({ at: performance.now(), what, about });
    if (this.#events.length > KEPT) this.#events.shift();
  }

  /** Notes what comes to a device over its socket, the pongs that `ws` sends by itself, and the end. */
  follow(device: JsonDevice): void {
    const { ws } = device;
    this.note('tries to connect');
    ws.on('open', () => this.note('is open'));
    ws.on('message', () => {
      const message = device.messages.at(-1);
      if (message !== undefined) this.#got(message);
    });
    ws.on('ping', (payload) => {
      const isPonged = ws.readyState === ws.OPEN;
      this.note(
        `got the ping "${payload}", ${isPonged ? `ponged, ${ws.bufferedAmount} bytes wait` : 'not ponged'}`,
      );
    });
    ws.on('error', ({ message }) => this.note(`failed: ${message}`));
    ws.on('close', (code, reason) => this.note(`closed with ${code} ${reason}`));
  }

  /** A line for each event, the oldest first, with what it shows of these records. */
  lines(records: readonly string[] = []): string[] {
    return this.#events.map(({ at, what, about }) => {
      const shown = records.filter((key) => about(key) !== undefined);
      return [`${timeOf(at)} ${what}`, ...shown.map((key) => `${key} = ${JSON.stringify(about(key))}`)].join(
        ' ',
      );
    });
  }

  /** The last events, by their distance from a moment. */
  lastSince(moment: number, count: number): string {
    const last = this.#events.slice(-count);
    return last.map(({ at, what }) => `${Math.round(at - moment)} ms ${what}`).join(', ');
  }

  #got({ data, ...rest }: ServerMessage): void {
    const what = `got ${JSON.stringify(rest)}`;
    if (rest.type === 'FULL_SYNC') this.note(what, aboutAll(byId(data as never)));
    else if (rest.type === 'DATA_UPDATE' || rest.type === 'DATA_DELETE')
      this.note(`${what} ${keyOf(data)}`, aboutOne(data));
    else this.note(what);
  }
}
