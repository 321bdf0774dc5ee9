/**
 * What goes out on a native connection in its order. No message should need more than 10 s of a slow line: a large
 * one goes in parts, and what comes after it waits until it is cut (N10).
 */

import type { UserId } from '../../../shared/names.js';
import { cutForLine, MAX_UNCUT } from '../../documents/line-parts.js';
import type { AwarenessEntry } from '../../protocol/yjs.js';
import { messages } from '../../protocol/yjs.js';

type Frames = readonly Uint8Array[];
type Encode = (update: Uint8Array) => Uint8Array;

/** A character takes up to three bytes. */
const MAX_STATES = MAX_UNCUT / 3;

interface Waiting {
  readonly frames: Frames | Promise<Frames>;
  readonly send: (frames: Frames) => void;
}

export class Line {
  readonly #waiting: Waiting[] = [];
  #isRunning = false;

  /** Sends these now, or after what waits. */
  put(frames: Frames | Promise<Frames>, send: (frames: Frames) => void): void {
    if (!this.#isRunning && !(frames instanceof Promise)) {
      send(frames);
      return;
    }
    this.#waiting.push({ frames, send });
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next.send(await next.frames);
    }
    this.#isRunning = false;
  }
}

/** An update goes to all connections in turn: it is framed once for all, and kept no longer than to the next one. */
export class SharedFrames {
  #last: { readonly update: Uint8Array; readonly frames: Frames | Promise<Frames> } | null = null;

  of(user: UserId, update: Uint8Array): Frames | Promise<Frames> {
    if (this.#last?.update !== update)
      this.#last = { update, frames: framesOf(user, update, messages.update) };
    return this.#last.frames;
  }
}

/**
 * The answer to a SyncStep1. With the SyncStep2 a client takes itself for synced, so it is the last one.
 *
 * @param isWanted whether who asked is still there
 */
export const answerFrames = (
  user: UserId,
  update: Uint8Array,
  isWanted: () => boolean,
): Frames | Promise<Frames> => framesOf(user, update, messages.syncStep2, isWanted);

function framesOf(
  user: UserId,
  update: Uint8Array,
  encodeLast: Encode,
  isWanted = () => true,
): Frames | Promise<Frames> {
  if (update.length <= MAX_UNCUT) return [encodeLast(update)];
  const whole = () => (isWanted() ? [update] : []); // better than nothing
  return cutForLine(user, update, undefined, isWanted)
    .catch(whole)
    .then((parts) => inFrames(parts, encodeLast));
}

/** A part is let go as soon as it is framed, so that a large document is not there twice. */
function inFrames(parts: Uint8Array[], encodeLast: Encode): Frames {
  const frames: Uint8Array[] = [];
  for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
    frames.push(parts.length === 0 ? encodeLast(part) : messages.update(part));
  }
  return frames;
}

export function awarenessFrames(entries: readonly AwarenessEntry[]): Frames {
  const parts: AwarenessEntry[][] = [[]];
  let size = 0;
  for (const entry of entries) {
    if (size > 0 && size + entry.state.length > MAX_STATES) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)?.push(entry);
    size += entry.state.length;
  }
  return parts.map((part) => messages.awareness(part));
}

/** Says before each message that could not be cut how large it is: else a slow line looks like a dead one (N10). */
export const announced = (frames: Frames): Frames =>
  frames.flatMap((frame) =>
    frame.length > MAX_UNCUT + 100 ? [messages.coming(frame.length), frame] : [frame],
  );
