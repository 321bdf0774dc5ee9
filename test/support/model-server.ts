/** A server in memory, and lines to it that break after any number of bytes, without time and without a network. */
import * as Y from 'yjs';
import type {
  Fetch,
  FetchAnswer,
  WebSocketConstructor,
  WebSocketLike,
} from '../../client/platform/platform.js';
import type { Written } from '../../server/documents/changes.js';
import { Epoch, retiredIn } from '../../server/documents/epochs/epoch.js';
import { writtenAnew } from '../../server/documents/epochs/rewrite.js';
import { HistoryWindow, timesOf } from '../../server/documents/history/history-window.js';
import { type MadeAt, SenderClock } from '../../server/documents/later-wins/made-at.js';
import { Replica } from '../../server/documents/replica.js';
import { SyncError } from '../../server/errors.js';
import { decodeExchange } from '../../server/protocol/exchange.js';
import { decodeMessage, messages } from '../../server/protocol/yjs.js';
import { type Exchange, encodeExchange } from '../../shared/exchange.js';
import type { DeviceId } from '../../shared/names.js';
import type { ForeignAnswer } from './foreign-server.js';

/** How a line is, while it is so. */
export interface Line {
  /** Bytes that a connection brings in each direction before it breaks. */
  readonly bytes: number;
  /** Somebody on the way who answers instead. */
  readonly foreign: ForeignAnswer | null;
}

export const WHOLE: Line = { bytes: Number.POSITIVE_INFINITY, foreign: null };
export const CUT: Line = { bytes: 0, foreign: null };

const REWRITTEN = 4409;

const AUTHOR = { device: 'phone' as DeviceId, actor: null, via: 'yjs' } as const;

/** Another number for each epoch. */
const idsOf = (epoch: Epoch | null): number => (epoch === null ? 0 : [...epoch.retired].length);

interface Change {
  readonly update: Uint8Array;
  readonly madeAt: MadeAt;
}

function correct(
  clock: SenderClock,
  { sentAt, changes }: NonNullable<Exchange['timed']>,
  now: number,
): Change[] {
  clock.hear(sentAt, now);
  return changes.map(({ update, madeAt }) => ({
    update,
    madeAt: madeAt === null ? null : clock.correct(madeAt, now),
  }));
}

/** What it has is durable at once; an update that builds on what it lacks waits with its connection. */
export class ModelServer {
  readonly now: () => number;
  #replica: Replica;
  /** Bytes that a document which was written anew may take, in one message, with its epoch. */
  rewrittenSize = 0;
  line: Line = WHOLE;
  /** Messages and bodies that came. */
  asked = 0;
  readonly #sockets = new Set<ModelSocket>();
  readonly #history: HistoryWindow;

  constructor(now: () => number) {
    this.now = now;
    this.#history = new HistoryWindow({ revision: 0, historyFrom: 0 }, (key) =>
      this.#replica.images.get(key),
    );
    this.#replica = this.#replicaOf([], null);
  }

  #replicaOf(updates: readonly Uint8Array[], epoch: Epoch | null): Replica {
    const ids = (of: Epoch | null) => ({ writes: 1 + 10 * idsOf(of), unions: 2 + 10 * idsOf(of) });
    const options = { ids, now: this.now, maxDepth: 64, keepFor: 86_400_000 };
    const replica = new Replica(
      { updates: [...updates], memory: null, epoch: epoch?.encode() ?? null },
      options,
      (key, path) => this.#history.lastChange(key, path),
    );
    replica.images.complete();
    return replica;
  }

  /** Writes the document anew (P10): who has something of the old one is refused from here on. */
  rewrite(): void {
    const former = { revision: 0, mark: 0 };
    const epoch = Epoch.after(this.#replica.epoch, retiredIn(this.doc), former);
    const { update } = writtenAnew(this.doc, 3 + 10 * idsOf(epoch));
    this.#replica = this.#replicaOf([update], epoch);
    this.rewrittenSize = 2 * update.length;
    for (const socket of [...this.#sockets]) socket.closes(REWRITTEN);
  }

  /** Refuses who has something of an old document. */
  greets(stateVector: Uint8Array): boolean {
    try {
      if (stateVector.length > 0) this.#replica.checkStateVector(Y.decodeStateVector(stateVector));
      return true;
    } catch {
      return false;
    }
  }

  /** Who asks for it is told what had arrived before the document was written anew. */
  epochFor(url: string): Uint8Array | null {
    return new URL(url).searchParams.has('epoch') ? (this.#replica.epoch?.encode() ?? null) : null;
  }

  get doc(): Y.Doc {
    return this.#replica.doc;
  }

  get WebSocket(): WebSocketConstructor {
    const server = this;
    return class extends ModelSocket {
      constructor(url: string) {
        super(url, server);
        server.#sockets.add(this);
      }
    };
  }

  readonly fetch: Fetch = async (url, { body, headers }) => {
    const { bytes, foreign } = this.line;
    this.asked++;
    if (foreign !== null) return answer(foreign.status, null, Buffer.from(foreign.body));
    if (body.length > bytes) throw new TypeError('fetch failed');
    const exchange = decodeExchange(body.slice());
    const { stateVector } = exchange;
    const answerOf = (status: number, content = ''): FetchAnswer =>
      answer(status, headers['Sync-Challenge'] ?? null, new TextEncoder().encode(content));
    try {
      if (!this.greets(stateVector)) throw new SyncError('REWRITTEN');
      for (const each of this.#changesIn(exchange)) if (!this.takes(each, null)) return answerOf(409);
    } catch {
      return answerOf(409, '{"code":"REWRITTEN"}');
    }
    const diff = stateVector.length > 0 ? Y.encodeStateAsUpdate(this.doc, stateVector) : new Uint8Array(0);
    const epoch = this.epochFor(String(url)) ?? undefined;
    const content = encodeExchange({ stateVector: Y.encodeStateVector(this.doc), update: diff, epoch });
    if (content.length > bytes) throw new TypeError('fetch failed');
    return answer(200, headers['Sync-Challenge'] ?? null, content);
  };

  #changesIn({ update, timed }: Exchange): Change[] {
    const clock = new SenderClock();
    const rest = update.length > 0 ? [{ update, madeAt: null }] : [];
    return timed === undefined ? rest : [...correct(clock, timed, this.now()), ...rest];
  }

  /** The line is another one from here. */
  become(line: Line): void {
    this.line = line;
    for (const socket of [...this.#sockets]) socket.breaks();
  }

  /** False where it builds on what is missing; throws where it is of a document before this one. */
  takes({ update, madeAt }: Change, from: ModelSocket | null): boolean {
    const admission = this.#replica.check(update);
    if (admission.kind === 'missing') return false;
    if (admission.kind === 'empty') return true;
    const before = Y.encodeStateVector(this.doc);
    this.#enter(this.#replica.apply(admission, { saw: null, madeAt }), madeAt);
    const news = Y.encodeStateAsUpdate(this.doc, before);
    for (const socket of this.#sockets) if (socket !== from) socket.hears(messages.update(news));
    return true;
  }

  /** What tells of two writes which is the later one (D3). */
  #enter({ records, lost }: Written, madeAt: MadeAt): void {
    const at = this.now();
    if (madeAt !== null) this.#history.enterOverruled(lost, AUTHOR, at, madeAt);
    this.#history.enter(records, AUTHOR, at, timesOf(madeAt));
  }

  gone(socket: ModelSocket): void {
    this.#sockets.delete(socket);
  }

  records(): Record<string, unknown> {
    return this.doc.getMap('notes').toJSON();
  }
}

class ModelSocket implements WebSocketLike {
  binaryType = 'arraybuffer';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly #server: ModelServer;
  readonly #url: string;
  readonly #challenge: string;
  readonly #clock = new SenderClock();
  readonly #waiting: Change[] = [];
  #up: number;
  #down: number;
  #isOpen = true;
  #isGreeted = false;

  constructor(url: string, server: ModelServer) {
    this.#server = server;
    this.#url = url;
    this.#challenge = new URL(url).searchParams.get('challenge') ?? '';
    const { bytes, foreign } = server.line;
    this.#up = bytes;
    this.#down = bytes;
    queueMicrotask(() => this.#begin(foreign));
  }

  send(data: Uint8Array): void {
    const bytes = data.slice();
    queueMicrotask(() => this.#arrives(bytes));
  }

  close(): void {
    this.#end();
  }

  breaks(): void {
    if (!this.#isOpen) return;
    this.#end();
    this.onclose?.({ code: 1006, reason: '' });
  }

  closes(code: number): void {
    if (!this.#isOpen) return;
    this.#end();
    queueMicrotask(() => this.onclose?.({ code, reason: '' }));
  }

  hears(message: Uint8Array): void {
    queueMicrotask(() => {
      if (!this.#isOpen) return;
      this.#down -= message.length;
      if (this.#down < 0) this.breaks();
      else this.onmessage?.({ data: message.slice().buffer });
    });
  }

  #end(): void {
    this.#isOpen = false;
    this.#server.gone(this);
  }

  #begin(foreign: ForeignAnswer | null): void {
    if (!this.#isOpen) return;
    if (this.#up <= 0 || foreign !== null) this.#refuse(foreign);
    else {
      this.onopen?.();
      this.hears(messages.proof(this.#challenge));
      this.hears(messages.takesTimes);
      this.hears(messages.syncStep1(Y.encodeStateVector(this.#server.doc)));
    }
  }

  #refuse(foreign: ForeignAnswer | null): void {
    this.#end();
    this.#server.asked++;
    const code = typeof foreign?.socket === 'number' ? foreign.socket : 1006;
    if (code !== 1006) this.onopen?.();
    this.onclose?.({ code, reason: '' });
  }

  #arrives(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#server.asked++;
    this.#up -= bytes.length;
    if (this.#up < 0) {
      this.breaks();
      return;
    }
    const message = decodeMessage(bytes);
    if (message.type === 'syncStep1') this.#greet(message.stateVector);
    else if (message.type === 'syncStep2' || message.type === 'update')
      this.#gets([{ update: message.update, madeAt: null }]);
    else if (message.type === 'timed') this.#gets(correct(this.#clock, message, this.#server.now()));
    else if (message.type === 'checkpoint' && this.#waiting.length === 0)
      this.hears(messages.checkpoint(message.n));
  }

  #greet(stateVector: Uint8Array): void {
    if (!this.#server.greets(stateVector)) {
      this.closes(REWRITTEN);
      return;
    }
    this.#isGreeted = true;
    const epoch = this.#server.epochFor(this.#url);
    if (epoch !== null) this.hears(messages.epoch(epoch));
    this.hears(messages.syncStep2(Y.encodeStateAsUpdate(this.#server.doc, stateVector)));
  }

  #gets(changes: readonly Change[]): void {
    try {
      this.#takes(changes);
    } catch {
      this.closes(REWRITTEN);
    }
  }

  #takes(changes: readonly Change[]): void {
    const before = this.#waiting.length;
    this.#waiting.push(...changes.filter((change) => !this.#server.takes(change, this)));
    for (let at = 0; at < this.#waiting.length; ) {
      if (!this.#server.takes(this.#waiting[at] as Change, this)) at++;
      else {
        this.#waiting.splice(at, 1);
        at = 0;
      }
    }
    const asks = before === 0 && this.#isGreeted && this.#waiting.length > 0;
    if (asks) this.hears(messages.syncStep1(Y.encodeStateVector(this.#server.doc)));
  }
}

function answer(status: number, proof: string | null, content: Uint8Array): FetchAnswer {
  const get = (name: string): string | null => (name === 'Sync-Proof' ? proof : null);
  const arrayBuffer = async (): Promise<ArrayBuffer> => content.slice().buffer as ArrayBuffer;
  return { ok: status >= 200 && status < 300, status, headers: { get }, arrayBuffer };
}
