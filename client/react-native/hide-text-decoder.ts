/**
 * While lib0 is loaded it makes a `TextDecoder` that is `fatal`, where there is a `TextDecoder` at all. That of some
 * phones and polyfills throws a RangeError then, and the app would not start. Such a one is hidden until lib0 has
 * chosen its own decoder; restore-text-decoder.ts puts it back.
 */
const found = globalThis.TextDecoder;

function isRefused(): boolean {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array()) !== '';
  } catch {
    return typeof found === 'function';
  }
}

export const hidden = isRefused() ? found : null;
if (hidden !== null) Reflect.set(globalThis, 'TextDecoder', undefined);
