import { createContext, runInContext } from 'node:vm';
import { build, type Metafile } from 'esbuild';
import WebSocket from 'ws';

export interface PhoneBundle {
  readonly code: string;
  readonly meta: Metafile;
}

const WEBCRYPTO = 'isomorphic-webcrypto/src/react-native';

/** What stands for the packages of an app; the items of AsyncStorage outlive the "phone". */
const STAND_INS: Readonly<Record<string, string>> = {
  'react-native': `export const AppState = { addEventListener: () => ({ remove() {} }) };`,
  '@react-native-async-storage/async-storage': `
    const items = globalThis.deviceItems;
    export default {
      async getItem(key) { return items.get(key) ?? null; },
      async setItem(key, value) { items.set(key, value); },
      async removeItem(key) { items.delete(key); },
      async getAllKeys() { return [...items.keys()]; },
    };`,
};

/**
 * The entry for phones in one script, resolved as Metro does it with `withTelemedSync`. Apps bring the rest of the
 * syntax down with Babel, classes for one: ES2017 is the least that esbuild can make of it.
 */
export async function bundleForPhones(entry: string, webcrypto: string): Promise<PhoneBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    format: 'iife',
    globalName: 'telemedSync',
    platform: 'neutral',
    mainFields: ['react-native', 'browser', 'main'],
    conditions: ['react-native'],
    target: 'es2017',
    define: { 'process.env.NODE_ENV': '"production"' }, // Metro does that, and React relies on it
    logLevel: 'silent',
    alias: { [WEBCRYPTO]: webcrypto },
    plugins: [
      {
        name: 'stand-ins',
        setup({ onResolve, onLoad }) {
          const filter = /^(react-native|@react-native-async-storage\/async-storage)$/;
          onResolve({ filter }, ({ path }) => ({ path, namespace: 'stand-in' }));
          onLoad({ filter, namespace: 'stand-in' }, ({ path }) => ({ contents: STAND_INS[path] ?? '' }));
        },
      },
    ],
  });
  return { code: outputFiles[0]?.text ?? '', meta: metafile };
}

/** Of V8 and not of Hermes, or not of the oldest Hermes that an app may have. */
const NOT_IN_HERMES = `
  for (const name of ['Atomics', 'FinalizationRegistry', 'Intl', 'Iterator', 'SharedArrayBuffer', 'WeakRef', 'WebAssembly'])
    delete globalThis[name];
  for (const name of ['toReversed', 'toSorted', 'toSpliced', 'with']) delete Array.prototype[name];
  for (const type of [Set]) for (const name of ['union', 'intersection', 'difference']) delete type.prototype[name];
  delete Object.groupBy; delete Map.groupBy; delete Promise.withResolvers; delete Array.fromAsync;`;

/** `none`: as in older React Native. `refusing`: refuses the option `fatal`, as some polyfills do. */
export type Decoder = 'none' | 'refusing' | 'whole';

function textDecoder(kind: Decoder): unknown {
  if (kind === 'none') return undefined;
  if (kind === 'whole') return TextDecoder;
  return class extends TextDecoder {
    constructor(label?: string, options: { fatal?: boolean } = {}) {
      if (options.fatal) throw new RangeError('The option fatal is unsupported.');
      super(label, options);
    }
  };
}

export interface PhoneParts {
  /** The contents of AsyncStorage. */
  readonly items: Map<string, string>;
  readonly decoder: Decoder;
  /** What the polyfill for random numbers gives; null where the app forgot it. */
  readonly crypto?: Pick<Crypto, 'getRandomValues'> | null;
}

const polyfill: Pick<Crypto, 'getRandomValues'> = {
  getRandomValues: (array) => crypto.getRandomValues(array),
};

/** The globals of a phone, and only these; `toBuffer` makes an ArrayBuffer of its own realm. */
function globals({ items, decoder, crypto: random = polyfill }: PhoneParts): Record<string, unknown> {
  const decoding = textDecoder(decoder);
  return {
    deviceItems: items,
    setTimeout,
    clearTimeout,
    setInterval,
    clearInterval,
    queueMicrotask,
    AbortController,
    TextEncoder,
    ...(decoding === undefined ? {} : { TextDecoder: decoding }),
    ...(random === null ? {} : { crypto: random }),
  };
}

type ToBuffer = (bytes: Uint8Array) => ArrayBuffer;

/** `ws` with messages as buffers of the phone. */
function socketOf(toBuffer: ToBuffer): unknown {
  return class {
    readonly #socket: WebSocket;
    binaryType = 'blob';
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onclose: ((event: { code: number; reason: string }) => void) | null = null;
    onerror: ((event: unknown) => void) | null = null;

    constructor(url: string) {
      this.#socket = new WebSocket(url);
      this.#socket.on('open', () => this.onopen?.());
      this.#socket.on('message', (data: Buffer) => this.onmessage?.({ data: toBuffer(data) }));
      this.#socket.on('close', (code, reason) => this.onclose?.({ code, reason: String(reason) }));
      this.#socket.on('error', (error) => this.onerror?.(error));
    }

    send(data: Uint8Array): void {
      this.#socket.send(data);
    }

    close(code?: number, reason?: string): void {
      this.#socket.close(code, reason);
    }
  };
}

const fetchOf =
  (toBuffer: ToBuffer) =>
  async (url: string, init: RequestInit): Promise<object> => {
    const { ok, status, ...answer } = await fetch(url, init).then(async (response) => ({
      ok: response.ok,
      status: response.status,
      body: new Uint8Array(await response.arrayBuffer()),
    }));
    return { ok, status, arrayBuffer: async () => toBuffer(answer.body) };
  };

/** Starts an app on a phone: what the entry exports, and the globals of the phone. */
export function startApp<Entry>(
  { code }: PhoneBundle,
  parts: PhoneParts,
): { app: Entry; globals: Record<string, unknown> } {
  const context = createContext(globals(parts));
  runInContext(NOT_IN_HERMES, context);
  const toBuffer: ToBuffer = runInContext('(bytes) => Uint8Array.from(bytes).buffer', context);
  Object.assign(context, { WebSocket: socketOf(toBuffer), fetch: fetchOf(toBuffer) });
  runInContext(code, context);
  return { app: runInContext('telemedSync', context) as Entry, globals: context as Record<string, unknown> };
}
