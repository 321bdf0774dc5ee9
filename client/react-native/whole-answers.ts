/** The bytes of answers on React Native before 0.73, whose `fetch` gives them as a blob only. */

import { isLacking, lacking } from '../connection/response-bytes.js';
import { fromBase64 } from '../local-store/base64.js';
import type { Fetch, FetchAnswer } from '../platform/platform.js';

/** It has an `arrayBuffer()` that always fails, and has used up the body by then. */
let asBlob = false;

/** A `fetch` whose answers have an `arrayBuffer()` that works, from the second one on. */
export const withWholeAnswers =
  (fetch: Fetch): Fetch =>
  async (url, init) => {
    const answer = await fetch(url, init);
    const { ok, status, redirected = false, headers, body = null } = answer;
    return { ok, status, redirected, ...(headers && { headers }), body, arrayBuffer: () => bytesOf(answer) };
  };

async function bytesOf(answer: FetchAnswer): Promise<ArrayBuffer> {
  if (!asBlob) {
    try {
      return await answer.arrayBuffer();
    } catch (error) {
      if (!isLacking(error)) throw error;
      asBlob = true;
    }
  }
  try {
    const blob = (await answer.blob?.()) as Blob;
    if (typeof blob.arrayBuffer === 'function') return await blob.arrayBuffer();
    const url = await dataUrlOf(blob);
    const bytes = fromBase64(url.slice(url.indexOf(',') + 1));
    if (bytes !== null) return bytes.buffer as ArrayBuffer;
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
