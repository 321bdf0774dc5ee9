/** What a native session knows of its connection: thousands are quiet, and none has a copy of it. */
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { Told, YjsOutbox, YjsSessionOptions } from '../yjs/options.js';
import type { Connection } from './connection.js';

/** What all of them have in common. */
export type YjsCommon = Required<
  Pick<YjsSessionOptions, 'frames' | 'now' | 'uptime' | 'maxPending' | 'pendingTimeout'>
>;

export class YjsSide implements YjsSessionOptions {
  readonly document: FollowedDocument;
  readonly #connection: Connection;
  readonly #common: YjsCommon;

  constructor(document: FollowedDocument, connection: Connection, common: YjsCommon) {
    this.document = document;
    this.#connection = connection;
    this.#common = common;
  }

  get outbox(): YjsOutbox {
    return this.#connection;
  }

  get device() {
    return this.#connection.peer.device;
  }

  get actor() {
    return this.#connection.peer.grant.actor;
  }

  get readOnly() {
    return !this.#connection.peer.grant.mayWrite;
  }

  get asksForTimes() {
    return this.#connection.peer.asked.asksForTimes;
  }

  get takesRewrites() {
    return this.#connection.peer.asked.takesRewrites;
  }

  get asksForEpoch() {
    return this.#connection.peer.asked.asksForEpoch;
  }

  get frames() {
    return this.#common.frames;
  }

  get maxPending() {
    return this.#common.maxPending;
  }

  get pendingTimeout() {
    return this.#common.pendingTimeout;
  }

  get now() {
    return this.#common.now;
  }

  get uptime() {
    return this.#common.uptime;
  }

  onUnsent(told: Told, at: number): void {
    this.#connection.tells(told, at);
  }
}
