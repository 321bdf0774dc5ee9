import { decodeUtf8 } from 'lib0/string';
import { hidden } from './hide-text-decoder.js';

/** Used, so that no bundler leaves the import out or loads it later. */
const loaded = typeof decodeUtf8 === 'function';
if (loaded && hidden !== null) Reflect.set(globalThis, 'TextDecoder', hidden);
