import { useSyncExternalStore } from 'react';
import { ask, type DeviceList, liveUrl, type Now, type Overview, type Point, Refusal } from './api.js';

/** How often it is looked whether the socket tells something; where it does not, the page asks. In ms. */
const PAUSE = 5_000;
/** The server tells something each two seconds. */
const SILENCE = 10_000;
const MOST_POINTS = 360;
const SESSION_OVER = 4401;

export interface Told {
  readonly now: Now;
  readonly points: readonly Point[];
  /** By the socket; asked for every few seconds, since none gets through; or not at all. */
  readonly way: 'live' | 'asked' | 'away';
  /** Those of whom the page wanted to know; `null` where the socket does not tell them. */
  readonly devices: DeviceList | null;
}

type Message = Partial<Pick<Told, 'now' | 'points' | 'devices'>> & { readonly point?: Point };

/** What the server tells by itself, over one socket for the page. */
export class Live {
  #told: Told;
  #socket: WebSocket | null = null;
  #heardAt = 0;
  #user: string | null = null;
  #isClosed = false;
  readonly #onOut: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #listeners = new Set<() => void>();

  /** @param onOut the session is over */
  constructor({ points, ...now }: Overview, onOut: () => void) {
    this.#told = { now, points, way: 'away', devices: null };
    this.#onOut = onOut;
    this.#timer = setInterval(() => this.#look(), PAUSE);
    this.#connect();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get told(): Told {
    return this.#told;
  }

  /** Whose devices are shown from now on; returns what ends that. */
  showsDevices(user: string): () => void {
    this.#want(user);
    return () => this.#want(null);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#drop();
  }

  #want(user: string | null): void {
    this.#user = user;
    this.#change({ devices: null });
    this.#say();
  }

  #say(): void {
    if (this.#socket?.readyState === WebSocket.OPEN)
      this.#socket.send(JSON.stringify({ devices: this.#user }));
  }

  #connect(): void {
    const socket = new WebSocket(liveUrl());
    this.#socket = socket;
    this.#heardAt = performance.now();
    socket.onopen = () => this.#say();
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = ({ code }) => {
      this.#drop();
      // Where none gets through, the page goes on asking while it tries again.
      this.#change({ devices: null, ...(this.#told.way === 'live' && { way: 'away' }) });
      // Another tab may have signed in meanwhile, which ends the session of before, and not this page's stay.
      if (code === SESSION_OVER) this.#look();
    };
  }

  #take({ point, devices, ...told }: Message): void {
    this.#heardAt = performance.now();
    const points = told.points ?? this.#told.points;
    const isNew = point !== undefined && (points.at(-1)?.at ?? 0) < point.at;
    this.#change({
      ...told,
      way: 'live',
      points: isNew ? [...points, point].slice(-MOST_POINTS) : points,
      // The answer may be about the user of a moment ago.
      ...(devices !== undefined && { devices: devices?.user === this.#user ? devices : null }),
    });
  }

  #look(): void {
    if (this.#socket !== null && performance.now() - this.#heardAt < SILENCE) return;
    this.#drop();
    this.#change({ devices: null });
    void this.#ask();
    this.#connect();
  }

  /** What came over a socket meanwhile is newer. */
  async #ask(): Promise<void> {
    try {
      const { points, ...now } = await ask<Overview>('/overview');
      if (this.#told.way !== 'live') this.#change({ now, points, way: 'asked' });
    } catch (error) {
      if (this.#isClosed) return;
      if (error instanceof Refusal && error.status === 401) this.#onOut();
      else if (this.#told.way !== 'live') this.#change({ way: 'away' });
    }
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #change(told: Partial<Told>): void {
    this.#told = { ...this.#told, ...told };
    for (const listener of this.#listeners) listener();
  }
}

/** One part of what is told: only what shows it is drawn anew. */
export const useTold = <Name extends keyof Told>(live: Live, name: Name): Told[Name] =>
  useSyncExternalStore(live.subscribe, () => live.told[name]);
