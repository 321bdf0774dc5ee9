/** What the pages of the operator show, told by itself: over one WebSocket for each page that is open. */
import type { Request } from 'express';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { isUserId, type UserId } from '../../../../shared/names.js';
import { ERRORS, SyncError } from '../../../errors.js';
import { parseJson } from '../../../protocol/json.js';
import { read } from '../request.js';
import { upgradeOf } from '../upgrades.js';
import type { DeviceLooks } from './device-looks.js';
import { devicesOf } from './devices.js';
import type { AdminOptions } from './options.js';
import { overviewOf } from './overview.js';

/** A page is told something at most so often, in ms. */
const EVERY = 1_000;
/** Of these times, in which it is told how the server does; after which it hears the same of devices once more. */
const [NOW_EVERY, SAME_EVERY] = [2, 5];
/** After so many it is asked for a sign of life. */
const PING_EVERY = 30;
const MOST_PAGES = 20;
/** Of what a page says, in bytes. */
const LONGEST = 1_000;
/** Time for a page to answer the close, in ms. */
const LAST_WORDS = 500;
const ignored = (): void => {};

const wishSchema = z.strictObject({ devices: z.string().refine(isUserId, 'is no user').nullable() });

/** What a page of an operator who came in may be told, and until when. */
interface Visitor {
  readonly address: string;
  /** Asked again and again: a sign-out, or its end, ends what is told. */
  readonly mayStay: () => boolean;
}

/** Those that are open. */
export class LivePages {
  readonly #open = new Set<WebSocket>();
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: LONGEST,
    perMessageDeflate: false,
    clientTracking: false,
  });

  /** Who asks was let in, as with any other request. */
  add(options: AdminOptions, looks: DeviceLooks, request: Request, mayStay: () => boolean): void {
    if (options.hindrances().some(({ code }) => code === 'STOPPING')) throw new SyncError('RESTARTING');
    if (this.#open.size >= MOST_PAGES)
      throw new SyncError('TOO_MANY_SOCKETS', `${MOST_PAGES} pages of the operator are open; close one.`);
    const address = options.quotas.addressOf(request);
    const { stream, head } = upgradeOf(request);
    this.#server.handleUpgrade(request, stream, head, (socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      new LivePage(socket, options, looks, { address, mayStay }).begin();
    });
  }
}

/** Without what differs though nothing is new: the time, and fractions of a second in signs of life. */
const steady = (key: string, value: unknown): unknown => {
  if (key === 'now') return 0;
  return (key === 'at' || key === 'until') && typeof value === 'number' ? Math.round(value / 1_000) : value;
};

type Part = 'now' | 'devices';

class LivePage {
  readonly #socket: WebSocket;
  readonly #options: AdminOptions;
  readonly #looks: DeviceLooks;
  readonly #visitor: Visitor;
  #turns = 0;
  readonly #telling = new Set<Part>();
  #isAlive = true;
  /** It has not all of the last hour: nothing yet, or it read slowly when a point came. */
  #lacksPoints = true;
  /** Whose devices it shows. */
  #user: UserId | null = null;
  #told = '';
  #toldAt = 0;

  constructor(socket: WebSocket, options: AdminOptions, looks: DeviceLooks, visitor: Visitor) {
    this.#socket = socket;
    this.#options = options;
    this.#looks = looks;
    this.#visitor = visitor;
  }

  begin(): void {
    const { lastHour } = this.#options.operator;
    const unfollow = lastHour.onPoint((point) => {
      if (point === null) this.#end(new SyncError('RESTARTING'));
      else if (!this.#lacksPoints) this.#lacksPoints = this.#isSlow || !this.#send({ point });
    });
    const timer = setInterval(() => this.#turn(), EVERY).unref();
    this.#socket.on('error', ignored); // 'close' follows
    this.#socket.on('pong', () => {
      this.#isAlive = true;
    });
    this.#socket.on('message', (data) => this.#take(data));
    this.#socket.once('close', () => {
      clearInterval(timer);
      unfollow();
    });
    this.#turn();
  }

  #turn(): void {
    if (!this.#mayStay()) return;
    if (this.#turns % PING_EVERY === 0) {
      if (!this.#isAlive) this.#socket.terminate();
      this.#isAlive = false;
      this.#socket.ping();
    }
    const turn = this.#turns++;
    // Nothing where the page has not read yet what it was told.
    if (this.#isSlow) return;
    void this.#tell('now', () => this.#tellNow(turn));
    void this.#tell('devices', () => this.#tellDevices(turn));
  }

  /** One part does not wait for another: a store that hangs holds up what is told of devices, and no more. */
  async #tell(part: Part, tell: () => Promise<void>): Promise<void> {
    if (this.#telling.has(part)) return;
    this.#telling.add(part);
    try {
      await tell();
    } catch (error) {
      this.#options.log('unexpected', { where: 'page of the operator', error });
      this.#end(new SyncError('INTERNAL'));
    } finally {
      this.#telling.delete(part);
    }
  }

  async #tellNow(turn: number): Promise<void> {
    if (this.#lacksPoints)
      this.#lacksPoints = !this.#send({ points: this.#options.operator.lastHour.points });
    if (turn % NOW_EVERY === 0) this.#send({ now: await overviewOf(this.#options) });
  }

  async #tellDevices(turn: number): Promise<void> {
    const user = this.#user;
    if (user === null) return;
    const list = await this.#devices(user);
    if (user !== this.#user) return;
    const told = JSON.stringify(list, steady);
    if (told === this.#told && turn - this.#toldAt < SAME_EVERY) return;
    if (this.#send({ devices: list })) [this.#told, this.#toldAt] = [told, turn];
  }

  /** `null` where the page has to ask: another node has the user, the look can't be written down, the store is away. */
  async #devices(user: UserId) {
    const { hops } = this.#options;
    try {
      if (hops !== null && !(await hops.serves(user))) return null;
      await this.#looks.note(this.#options, this.#visitor.address, { user });
      return await devicesOf(this.#options, user);
    } catch {
      return null;
    }
  }

  #take(data: RawData): void {
    try {
      const { devices } = read(wishSchema, parseJson(data.toString()));
      this.#user = devices;
      this.#told = '';
    } catch (error) {
      this.#end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
    }
  }

  #mayStay(): boolean {
    const mayStay = this.#visitor.mayStay();
    if (!mayStay) this.#end(new SyncError('UNAUTHORIZED', 'The session is over; sign in again.'));
    return mayStay;
  }

  get #isSlow(): boolean {
    return this.#socket.bufferedAmount > 0;
  }

  /** Whether it went out. The session may have ended while it was put together. */
  #send(value: object): boolean {
    if (!this.#mayStay() || this.#socket.readyState !== this.#socket.OPEN) return false;
    this.#socket.send(JSON.stringify(value));
    return true;
  }

  #end({ code, message }: SyncError): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    const entry = ERRORS[code];
    this.#socket.close('close' in entry ? entry.close : 1008, message.slice(0, 120));
    setTimeout(() => this.#socket.terminate(), LAST_WORDS).unref();
  }
}
