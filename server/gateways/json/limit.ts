/** How large a message of a JSON device may be: what it was sent, it can send back (L10). */
import type { DeviceState } from '../../documents/json-devices/device.js';
import type { RecordsView } from '../../documents/records/records-view.js';

/** What comes back may have something added, or be from an encoder that escapes more. */
const ROOM_FOR_EDITS = 2;

export class JsonLimit {
  readonly #maxMessage: number;
  readonly #device: () => DeviceState | undefined;

  /** @param device remembers it from one connection to the next */
  constructor(maxMessage: number, device: () => DeviceState | undefined) {
    this.#maxMessage = maxMessage;
    this.#device = device;
  }

  get bytes(): number {
    return Math.max(this.#maxMessage, ROOM_FOR_EDITS * (this.#device()?.largestSent ?? 0));
  }

  /** A message with one record goes out. */
  sends(size: number): void {
    if (this.#matters(size)) this.#device()?.noteLargest(size);
  }

  /** All records go out, in a message of this size. */
  sendsAll(records: RecordsView, size: number): void {
    if (this.#matters(size)) this.sends(records.largest);
  }

  #matters(size: number): boolean {
    return ROOM_FOR_EDITS * size > this.#maxMessage;
  }
}
