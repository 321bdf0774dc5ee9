/** The bytes of an answer, on platforms of every age. */
import { ClientError } from './errors.js';
import { fromBase64 } from './local-store/base64.js';
import type { FetchAnswer } from './platform.js';

/** What the platform's `fetch` does not give, in words that say what helps. */
export const lacking = (what: 'arrayBuffer' | 'headers', cause?: unknown): ClientError =>
  new ClientError(
    'OFFLINE',
    `fetch gives no whole answer here (${what} is missing): use React Native 0.73 or newer, or pass another fetch.`,
    { cause },
  );

/** React Native before 0.73 has an `arrayBuffer()` that always fails, and has used up the body by then. */
let asBlob = false;

/** @param heard called when some of them have come, where that can be seen */
export async function bytesOf(answer: FetchAnswer, heard: () => void): Promise<Uint8Array> {
  const reader = answer.body?.getReader?.();
  if (reader !== undefined) return readAll(reader, heard);
  if (asBlob && answer.blob !== undefined) return ofBlob(answer);
  try {
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    if (!/not implemented|not a function/.test(String(error))) throw error;
    asBlob = true;
    return ofBlob(answer);
  }
}

async function readAll(
  reader: ReturnType<NonNullable<FetchAnswer['body']>['getReader']>,
  heard: () => void,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read()) {
    heard();
    parts.push(value);
    size += value.length;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

async function ofBlob(answer: FetchAnswer): Promise<Uint8Array> {
  try {
    const blob = (await answer.blob?.()) as Blob;
    if (typeof blob.arrayBuffer === 'function') return new Uint8Array(await blob.arrayBuffer());
    const url = await dataUrlOf(blob);
    const bytes = fromBase64(url.slice(url.indexOf(',') + 1));
    if (bytes !== null) return bytes;
  } catch (cause) {
    throw lacking('arrayBuffer', cause);
  }
  throw lacking('arrayBuffer');
}

/** The only way to the bytes of a blob that an old React Native has. */
const dataUrlOf = (blob: Blob): Promise<string> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
