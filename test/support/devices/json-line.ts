import { FollowedDocument } from '../../../server/documents/sleep/followed-document.js';
import type { UserDocument } from '../../../server/documents/user-document.js';
import type { SyncError } from '../../../server/errors.js';
import type { JsonSessionOptions } from '../../../server/gateways/json/options.js';
import { JsonSession } from '../../../server/gateways/json/session.js';
import { silentLog } from '../../../server/log.js';
import type { DeviceId } from '../../../shared/names.js';
import { followedOf } from '../document.js';
import type { ServerMessage } from './json-words.js';
import { jsonOutbox } from './outbox.js';

/** What a socket gets from the server. */
export type Frame = { readonly ping: string } | { readonly message: ServerMessage };

export interface LineOptions extends Pick<JsonSessionOptions, 'now' | 'pace' | 'readOnly'> {
  /** As it sleeps and wakes, or awake for good. */
  readonly document: FollowedDocument | UserDocument;
  readonly device: string;
  readonly closed: (error: SyncError) => void;
  /** Called with each frame, which waits nevertheless. */
  readonly arrived?: (frame: Frame) => void;
  /** Called with each message as it was sent. */
  readonly heard?: (text: string) => void;
}

/** A JSON device's end of a real session, without a socket: what comes waits until it is taken. */
export class JsonLine {
  readonly frames: Frame[] = [];
  readonly #envelope: object;
  readonly #session: JsonSession;

  constructor({ document, device, closed, arrived = () => {}, heard = () => {}, ...options }: LineOptions) {
    this.#envelope = { userId: document.user, deviceId: device };
    const take = (frame: Frame): void => {
      this.frames.push(frame);
      arrived(frame);
    };
    this.#session = new JsonSession({
      ...options,
      document: document instanceof FollowedDocument ? document : followedOf(document),
      device: device as DeviceId,
      log: silentLog,
      maxDepth: 64,
      maxMessage: 1_000_000,
      outbox: jsonOutbox({
        send: (text) => {
          heard(`${text}`);
          take({ message: JSON.parse(`${text}`) });
        },
        ping: (ping) => take({ ping }),
        close: closed,
      }),
    });
    this.#session.start();
  }

  /** The first ping that waits. */
  takePing(): string | undefined {
    return this.#take((frame) => 'ping' in frame && frame)?.ping;
  }

  /** The first message that waits. */
  takeMessage(): ServerMessage | undefined {
    return this.#take((frame) => 'message' in frame && frame)?.message;
  }

  say(message: object): void {
    this.#session.receive(JSON.stringify({ ...message, ...this.#envelope }));
  }

  pong(payload: string): void {
    this.#session.pong(payload);
  }

  /** The server notices that the connection is gone. */
  leave(): void {
    this.#session.leave();
  }

  #take<Kind extends Frame>(isOf: (frame: Frame) => Kind | false): Kind | undefined {
    const index = this.frames.findIndex((frame) => isOf(frame) !== false);
    const [frame] = index < 0 ? [] : this.frames.splice(index, 1);
    return (frame && isOf(frame)) || undefined;
  }
}
