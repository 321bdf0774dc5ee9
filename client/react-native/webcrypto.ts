/**
 * Stands for `isomorphic-webcrypto`, which lib0 asks for on React Native (see metro.cts): the random numbers come
 * from `globalThis.crypto`, which a phone has once a polyfill was imported.
 */
function randomSource(): Crypto {
  const { crypto } = globalThis;
  if (typeof crypto?.getRandomValues === 'function') return crypto;
  throw new Error(
    'There are no secure random numbers here. Install react-native-get-random-values, ' +
      "and import 'react-native-get-random-values' before everything else in the app's first file.",
  );
}

export default {
  /** lib0 calls it while it is loaded. */
  ensureSecure(): void {
    randomSource();
  },
  get subtle(): SubtleCrypto | undefined {
    return randomSource().subtle;
  },
  getRandomValues: (array: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
    randomSource().getRandomValues(array),
};
