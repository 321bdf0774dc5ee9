/** JSON connections without their sockets, on a clock that the test moves. */
import type { UserDocument } from '../../../server/documents/user-document.js';
import type { SyncError } from '../../../server/errors.js';
import { JsonSession } from '../../../server/gateways/json/session.js';
import { silentLog } from '../../../server/log.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { JsonRecord } from '../../../shared/json.js';
import type { DeviceId } from '../../../shared/names.js';
import { followedOf, openDocument } from '../document.js';
import { jsonOutbox } from './outbox.js';

/** As `JSON_PACE` is by default. */
export const GAP = 25;
/** Long enough for an app to have read what its socket has. */
export const LATER = 5_000;
/** So long an app takes until it has read a message. */
const HANDLING = 20;

/** One clock for all, and what is to happen by it. */
export class Clock {
  now = 1_000_000;
  #timers: { readonly at: number; readonly task: () => void }[] = [];

  get timers(): number {
    return this.#timers.length;
  }

  after = (ms: number, task: () => void): (() => void) => {
    const timer = { at: this.now + ms, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  async pass(document: UserDocument, ms: number): Promise<void> {
    const end = this.now + ms;
    const settled = async () => {
      await document.durable();
      await new Promise((resolve) => setImmediate(resolve));
    };
    await settled();
    for (;;) {
      const next = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.now = Math.max(this.now, next.at);
      next.task();
      await settled();
    }
    this.now = end;
  }
}

export interface Sent {
  readonly type: string;
  readonly ack?: string;
  readonly data: { readonly document: JsonRecord };
}

export class Line {
  readonly sent: Sent[] = [];
  answersPings = true;
  closed: SyncError | null = null;
  /** What the app does with a message, a moment after it came; `null`: nothing. */
  app: ((message: Sent) => void) | null = null;
  readonly session: JsonSession;
  readonly #pings: string[] = [];
  readonly #clock: Clock;
  readonly #device: string;

  constructor(document: UserDocument, clock: Clock, device: string, { gap = GAP, mostBytes = 1e6 } = {}) {
    this.#clock = clock;
    this.#device = device;
    this.session = new JsonSession({
      document: followedOf(document),
      device: device as DeviceId,
      now: () => clock.now,
      log: silentLog,
      maxDepth: 64,
      maxMessage: 2e6,
      pace: { gap, mostBytes, after: clock.after },
      outbox: jsonOutbox({
        send: (text) => this.#take(JSON.parse(text.toString())),
        ping: (payload) => {
          if (this.answersPings) queueMicrotask(() => this.session.pong(payload));
          else this.#pings.push(payload);
        },
        close: (error) => {
          this.closed = error;
        },
      }),
    });
    this.session.start();
  }

  #take(message: Sent): void {
    this.sent.push(message);
    if (this.app !== null) this.#clock.after(HANDLING, () => this.app?.(message));
  }

  pong(): void {
    for (const ping of this.#pings.splice(0)) this.session.pong(ping);
  }

  write(document: object, more: object = {}, collection = 'notes'): void {
    const timestamp = this.#clock.now;
    const data = { collection, document, timestamp };
    this.say({ type: 'DATA_UPDATE', data, timestamp, ...more });
  }

  requestSync(): void {
    this.say({ type: 'REQUEST_SYNC', timestamp: this.#clock.now });
  }

  say(message: object): void {
    this.session.receive(JSON.stringify({ userId: 'anna', deviceId: this.#device, ...message }));
  }

  /** What it was sent since, in short. */
  news(): string[] {
    return this.sent.splice(0).map(({ type, ack, data }) => {
      if (type === 'ACK') return `ACK ${ack}`;
      return type === 'DATA_UPDATE' ? `${data.document.id} ${data.document.i}` : type;
    });
  }
}

export async function scene(options: { gap?: number; mostBytes?: number } = {}) {
  const clock = new Clock();
  const document = await openDocument(new MemoryStore());
  const desk = new Line(document, clock, 'desk');
  const phone = new Line(document, clock, 'phone', options);
  const pass = (ms: number) => clock.pass(document, ms);
  await pass(LATER);
  for (const line of [desk, phone]) line.news();
  return { clock, document, desk, phone, pass };
}
