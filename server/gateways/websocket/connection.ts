/** What is known of one open WebSocket, from the upgrade on. */
import type { ConnectedDevice, SeenDevice } from '../../documents/seen-devices.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { Following } from '../../documents/sleep/followed-documents.js';
import type { Backlog } from '../../documents/turns/backlog.js';
import type { ErrorCode, SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import type { SharedAccess } from '../guard/shared-access.js';
import { JsonSession } from '../json/session.js';
import type { Told, YjsOutbox } from '../yjs/options.js';
import { YjsSession } from '../yjs/session.js';
import type { Peer } from './handshake.js';
import type { Socket } from './socket.js';
import { ToldUnsent } from './told-unsent.js';
import type { Receiver, Wire } from './wire.js';

/** How long an upgrade waits for what is looked up, in ms: a client that hears nothing would give up in the end. */
const LOOK_UP = 250;
export type Session = YjsSession | JsonSession;
/** What was found of a document without loading it. */
export type Found = Following | null | Promise<Following | null>;

/** A client that may come in. */
export interface Guest {
  readonly peer: Peer;
  readonly found: Found;
}

/** What the gateway does for its connections. */
export interface ConnectionHost {
  readonly log: Log;
  readonly backlog: Backlog;
  noteOffence(peer: Peer, code: ErrorCode): void;
  closed(connection: Connection, code: number, reason: Buffer): void;
  /** A fault of ours ends this connection, not the process. */
  guard(socket: Socket, action: () => void): void;
}

export class Connection implements Receiver, YjsOutbox {
  readonly peer: Peer;
  readonly wire: Wire;
  /** The user's document, and the shared one, once they are open; before, what is looked up of it. */
  lease: Found;
  shared: SharedAccess | null = null;
  /** Nothing more is taken from it. */
  isShut = false;
  expiry: NodeJS.Timeout | undefined;
  /** Ends it where its document does not come in time. */
  late: NodeJS.Timeout | undefined;
  /** When its access was last asked for. */
  checkedAt: number;
  readonly #host: ConnectionHost;
  #session: Session | null = null;
  #document: FollowedDocument | null = null;
  /** Changes that its device has not sent, where it tells of them. */
  #unsent: ToldUnsent | null = null;

  constructor({ peer, found }: Guest, wire: Wire, host: ConnectionHost, now: number) {
    this.peer = peer;
    this.wire = wire;
    this.lease = found;
    this.checkedAt = now;
    this.#host = host;
  }

  get session(): Session | null {
    return this.#session;
  }

  get isOpen(): boolean {
    return !this.isShut && this.#session !== null;
  }

  closed(code: number, reason: Buffer): void {
    this.#host.closed(this, code, reason);
  }

  begin(document: FollowedDocument, session: Session): void {
    this.#document = document;
    this.#session = session;
  }

  receive(message: Uint8Array | string, settled: () => void): void {
    this.#host.guard(this.wire.socket, () => this.#receive(message));
    const done = () => this.#document?.afterDurable(settled, settled);
    if (this.#session instanceof JsonSession) this.#session.whenReady(done);
    else done();
  }

  /** A dry run may take long, and all sockets of a user together may send a lot meanwhile. */
  #receive(message: Uint8Array | string): void {
    const [session, document] = [this.#session, this.#document];
    if (session instanceof YjsSession) session.receive(typeof message === 'string' ? null : message);
    else session?.receive(message);
    const { backlog } = this.#host;
    const { socket } = this.wire;
    if (backlog.isFull) socket.holdUntil('disk', (over) => backlog.whenRoom(over));
    if (document?.isPaused) socket.holdUntil('work', (over) => document.whenReady(over));
    else if (session instanceof JsonSession && session.isPaused)
      socket.holdUntil('work', (over) => session.whenReady(over));
  }

  /** Its device tells what it has not sent. */
  tells(told: Told, at: number): void {
    this.#unsent ??= new ToldUnsent();
    this.#unsent.tells(told, at);
  }

  /** What its device has told should be noted. */
  get isNoteDue(): boolean {
    return this.#unsent?.isNoteDue(this.wire.now()) ?? false;
  }

  /** The same as `seen`, to be noted. */
  toNote(now: number): SeenDevice | null {
    this.#unsent?.noted(this.wire.now());
    return this.seen(now);
  }

  /**
   * What is known of its device now; `null` for one without a name, which is another one each time, and where the user
   * was erased, however the connection of the device ends then.
   */
  seen(now: number): SeenDevice | null {
    const { asked, grant } = this.peer;
    if (asked.device === null || this.#session === null) return null;
    if (this.#document?.failure?.code === 'ERASED') return null;
    const { via, app, device } = asked;
    const revision = this.wire.socket.unsent === 0 ? this.#session.sentRevision : null;
    const uptime = this.wire.now();
    const at = now - (uptime - this.wire.heardAt);
    const unsent = this.#unsent?.asOf(now, uptime) ?? null;
    return { device, actor: grant.actor, via, app, at, revision, unsent };
  }

  /** @param silence how long it may have been silent, in ms */
  connected(now: number, silence: number): ConnectedDevice | null {
    const seen = this.seen(now);
    const { socket, heardAt } = this.wire;
    const isHeard = !this.isShut && !socket.isHolding && this.wire.now() - heardAt <= silence;
    return seen && { ...seen, isHeard };
  }

  pong(payload: string, at: number): void {
    // It must not overtake what the device told before, which may wait for the document.
    this.#document?.whenReady(() => this.#unsent?.pong(at));
    if (this.#session instanceof JsonSession) this.#session.pong(payload);
  }

  send(messages: readonly Uint8Array[]): void {
    this.wire.socket.send(messages);
  }

  answer(messages: readonly Uint8Array[], sent: () => void): void {
    this.wire.answer(messages, sent);
  }

  /** The message may quote a key of the client's data, so it does not go into the log. */
  close(error: SyncError): void {
    const { grant, device } = this.peer;
    const { code } = error;
    this.#host.log('messageRefused', { user: grant.user, device, via: 'yjs', code, reason: '' });
    this.#host.noteOffence(this.peer, code);
    this.wire.socket.end(error);
  }
}

/** Lets go of the documents, as far as they are open; each may be released more than once. */
export function release({ lease, shared }: Pick<Connection, 'lease' | 'shared'>): void {
  if (lease instanceof Promise) void lease.then((found) => found?.release());
  else lease?.release();
  shared?.release();
}

/** Waits a moment for what is looked up; where it takes longer, the upgrade is answered, and the rest waits. */
export async function soon(lookUp: Promise<Following | null>): Promise<Found[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LOOK_UP);
  });
  const found = await Promise.race([lookUp, late]).finally(() => clearTimeout(timer));
  return [found === undefined ? lookUp : found];
}
