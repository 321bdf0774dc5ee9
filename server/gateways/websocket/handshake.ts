/** Accepts or refuses upgrades, before anything of any document is looked at. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DeviceId } from '../../../shared/names.js';
import type { Access } from '../../access/access.js';
import type { Config } from '../../config.js';
import { ERRORS, type ErrorCode, SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import { authorize, countedAs, type Grant, logRefusal } from '../guard/authorize.js';
import { Offences } from '../guard/offences.js';
import { isForeign } from '../guard/origin.js';
import type { Overload } from '../guard/overload.js';
import type { Quotas, Refusal } from '../guard/quotas.js';
import { offenderOf, readRequest, type UpgradeRequest, userIn } from './upgrade-request.js';

export interface HandshakeOptions {
  readonly config: Config;
  readonly access: Access;
  readonly quotas: Quotas;
  readonly overload: Pick<Overload, 'isOver' | 'isOverFor'>;
  readonly log: Log;
  readonly uptime: () => number;
  readonly newDeviceId: () => DeviceId;
}

/** A client that came in: with which grant, which device, over which protocol. */
export interface Peer {
  readonly grant: Grant;
  readonly device: DeviceId;
  readonly asked: UpgradeRequest;
}

export type Answer =
  | { readonly is: 'in'; readonly peer: Peer }
  /** Is told by a close code. */
  | { readonly is: 'turned away'; readonly error: SyncError; readonly challenge: string | null }
  /** Is to come again later; no document was looked at, and in an overload not even its token. */
  | { readonly is: 'put off'; readonly challenge: string | null }
  /** Is told by an HTTP status. */
  | { readonly is: 'refused'; readonly refusal: Refusal };

const NOTHING_HERE: Refusal = { code: 'NOT_FOUND', retryAfter: 0 };
const FOREIGN: Refusal = { code: 'ORIGIN_REFUSED', retryAfter: 0 };
const RESTARTING: Refusal = { code: 'RESTARTING', retryAfter: 60 };
const BLOCKED: Refusal = { code: 'TOO_MANY_CLOSES', retryAfter: 60 };
/** What y-websocket would send again at once after a close. */
const OFFENCES: ReadonlySet<ErrorCode> = new Set(['MALFORMED_UPDATE', 'UPDATE_TOO_COSTLY', 'DOCUMENT_FULL']);

export class Handshakes {
  readonly #options: HandshakeOptions;
  readonly #offences: Offences;
  #isClosed = false;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#offences = new Offences(options.uptime);
  }

  /** From now on every upgrade is refused. */
  close(): void {
    this.#isClosed = true;
  }

  /** A native connection of this peer was ended with this code; what counts as an offence is remembered (N8). */
  noteOffence({ asked }: Peer, code: ErrorCode): void {
    if (OFFENCES.has(code)) this.#offences.note(offenderOf(asked));
  }

  /** Decides, and takes the slots of a client that comes in until its stream closes. */
  async answer(request: IncomingMessage, stream: Duplex): Promise<Answer> {
    const { quotas, overload } = this.#options;
    const address = quotas.addressOf(request);
    const asked = readRequest(request, address);
    const early = this.#refusalOf(request) ?? quotas.refuseAddress(address);
    if (asked === null || early !== null) return this.#refused(request, address, early ?? NOTHING_HERE);
    const giveAddressSlot = quotas.takeAddressSlot(address);
    let giveUserSlot: (() => void) | null = null;
    // One listener for both, and not `once`: a third one, or one that removes itself, takes half a kilobyte.
    stream.on('close', () => {
      giveAddressSlot();
      giveUserSlot?.();
    });
    if (overload.isOver) return { is: 'put off', challenge: asked.challenge };
    const peer = await this.#identify(request, asked);
    const isIn = !(peer instanceof SyncError);
    const late = this.#refusalOf(request) ?? (isIn ? this.#refusalOfPeer(peer) : null);
    if (late !== null) return this.#refused(request, address, late);
    if (!isIn) return { is: 'turned away', error: peer, challenge: asked.challenge };
    const caller = countedAs(peer.grant);
    if (overload.isOverFor(caller.user)) return { is: 'put off', challenge: asked.challenge };
    giveUserSlot = quotas.takeUserSlot(caller);
    // The client may disconnect while its token is checked; its 'close' came before, so its slot is given back here.
    if (stream.closed) giveUserSlot?.();
    return { is: 'in', peer };
  }

  /** Why one that came in may not open after all: the server has begun to stop. */
  refusalNow(request: IncomingMessage, address: string): Refusal | null {
    if (!this.#isClosed) return null;
    this.#log(request, address, RESTARTING.code);
    return RESTARTING;
  }

  async #identify(request: IncomingMessage, asked: UpgradeRequest): Promise<Peer | SyncError> {
    const { access, log, newDeviceId } = this.#options;
    try {
      const grant = await authorize(access, request, asked.address, () => userIn(asked));
      return { grant, asked, device: asked.device ?? newDeviceId() };
    } catch (error) {
      if (!(error instanceof SyncError)) {
        log('unexpected', { where: 'handshake', error });
        return new SyncError('INTERNAL');
      }
      if (asked.problem === error) this.#log(request, asked.address, error.code);
      else logRefusal(log, request, asked.address, error);
      return error;
    }
  }

  #refusalOf(request: IncomingMessage): Refusal | null {
    if (this.#isClosed) return RESTARTING;
    return isForeign(this.#options.config.corsOrigins, request) ? FOREIGN : null;
  }

  /** Asked once it is known that the client may come in. */
  #refusalOfPeer({ asked, grant }: Peer): Refusal | null {
    if (!this.#offences.areNone && this.#offences.isBlocked(offenderOf(asked))) return BLOCKED;
    return this.#options.quotas.refuseUser(countedAs(grant));
  }

  #refused(request: IncomingMessage, address: string, refusal: Refusal): Answer {
    this.#log(request, address, refusal.code);
    return { is: 'refused', refusal };
  }

  #log({ url = '' }: IncomingMessage, address: string, code: ErrorCode): void {
    this.#options.log('upgradeRefused', { url, address, status: ERRORS[code].status, code });
  }
}
