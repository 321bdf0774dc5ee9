/** What the overview shows, told by itself: one stream of server-sent events for each page that is open. */
import type { Response } from 'express';
import { SyncError } from '../../../errors.js';
import type { AdminOptions } from './options.js';
import { overviewOf } from './overview.js';

/** In ms. */
const EVERY = 2_000;
const MOST_STREAMS = 20;
const ignored = (): void => {};

/** Those that are open. */
export class LiveStreams {
  readonly #open = new Set<Response>();

  /** @param mayStay is asked again and again: a sign-out, or its end, ends the stream */
  async add(options: AdminOptions, response: Response, mayStay: () => boolean): Promise<void> {
    if (this.#open.size >= MOST_STREAMS)
      throw new SyncError('TOO_MANY_SOCKETS', `${MOST_STREAMS} pages of the operator are open; close one.`);
    this.#open.add(response);
    const { lastHour } = options.operator;
    const send = (name: string, value: object) => {
      // A page that does not read gets what is new once it does; the stream may have ended meanwhile.
      if (!response.writableNeedDrain && !response.writableEnded)
        response.write(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`);
    };
    const tell = async () => {
      if (mayStay()) send('now', await overviewOf(options));
      else end();
    };
    const unfollow = lastHour.onPoint((point) => (point === null ? end() : send('point', point)));
    const timer = setInterval(() => void tell(), EVERY).unref();
    const end = () => {
      clearInterval(timer);
      unfollow();
      response.end();
    };
    response.on('error', ignored); // 'close' follows
    response.once('close', () => {
      end();
      this.#open.delete(response);
    });
    response.set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    response.flushHeaders();
    await tell();
  }
}
