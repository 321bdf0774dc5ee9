/** A JSON device that is away for longer than history is kept, while others write. */
import { expect } from 'vitest';
import type * as Y from 'yjs';
import { writeRecord } from '../../shared/records.js';
import { DAY, record, type Shelf, Ward, type WardDevice } from './ward.js';

export const BEGIN = Date.UTC(2025, 0, 31);
/** By then nothing is left of the history of the first days. */
export const RETURN = 400;
export const N1 = record('notes', 'n1');

export const noteOf = (doc: Y.Doc): Y.Map<unknown> => doc.getMap('notes').get('n1') as Y.Map<unknown>;

/** `null`: without a time; a deletion. */
export type AwayWrite = readonly [day: number | null, note: object | null];

/** A note that a tablet has read before it went away, and others may change meanwhile. */
export class Away {
  readonly ward: Ward;
  readonly #isForgotten: boolean;

  private constructor(ward: Ward, historyDays: number) {
    this.ward = ward;
    this.#isForgotten = historyDays < RETURN;
  }

  static async with(shelf: Shelf, historyDays: number, fields: object): Promise<Away> {
    const away = new Away(await Ward.open(shelf, { historyDays }), historyDays);
    away.write((doc) => writeRecord(doc, N1.collection, N1.id, { id: 'n1', ...fields }));
    return away;
  }

  day(day: number): void {
    this.ward.now = BEGIN + day * DAY;
  }

  /** For long enough that everything was read, and its queue sent. */
  async visit(during?: (tablet: WardDevice) => Promise<void>): Promise<void> {
    const tablet = await this.ward.line('tablet').ready();
    this.ward.now += 40_000;
    await during?.(tablet);
    this.ward.now += 40_000;
    tablet.leave();
    this.ward.document.saveDevices('all');
    await this.ward.document.durable();
  }

  write(change: (doc: Y.Doc) => void): void {
    this.ward.write('phone', change);
  }

  set(fields: object): void {
    this.write((doc) => {
      for (const [name, value] of Object.entries(fields)) noteOf(doc).set(name, value);
    });
  }

  /** The tablet comes back, and sends what it wrote on these days. */
  back(...writes: readonly AwayWrite[]): Promise<unknown> {
    return this.backOn(RETURN, writes);
  }

  async backOn(day: number, writes: readonly AwayWrite[]): Promise<unknown> {
    this.day(day);
    await this.ward.restart();
    if (this.#isForgotten) expect(await this.ward.revisions()).toEqual([]);
    const tablet = await this.ward.line('tablet').ready();
    await this.send(tablet, writes);
    tablet.leave();
    expect(this.ward.unexpected).toEqual([]);
    expect(this.ward.damaged).toEqual([]);
    return this.ward.json('notes', 'n1');
  }

  async send(tablet: WardDevice, writes: readonly AwayWrite[]): Promise<void> {
    for (const [day, note] of writes) {
      const madeAt = day === null ? null : BEGIN + day * DAY;
      if (note === null) await tablet.delete('notes', 'n1', madeAt);
      else await tablet.update('notes', { id: 'n1', ...note }, madeAt);
    }
  }
}
