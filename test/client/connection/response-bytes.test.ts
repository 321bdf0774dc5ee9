import { afterEach, describe, expect, test, vi } from 'vitest';
import { bytesOf } from '../../../client/connection/response-bytes.js';
import type { FetchAnswer } from '../../../client/platform/platform.js';

type BytesOf = (answer: FetchAnswer, heard: () => void) => Promise<Uint8Array>;

/** On a phone. What it learned of a platform does not go from test to test. */
async function fresh(): Promise<BytesOf> {
  vi.resetModules();
  const { withWholeAnswers } = await import('../../../client/react-native/whole-answers.js');
  return async (answer, heard) => {
    const fetch = withWholeAnswers(async () => answer);
    return bytesOf(await fetch('', { method: '', headers: {}, body: SOME }), heard);
  };
}

afterEach(() => vi.unstubAllGlobals());

const SOME = Uint8Array.of(0, 1, 254, 255);

/** An answer of React Native before 0.73: the body is used up by the first look at it. */
function old(blob: unknown): FetchAnswer {
  let isUsed = false;
  const use = (): void => {
    if (isUsed) throw new TypeError('Already read');
    isUsed = true;
  };
  return {
    ok: true,
    status: 200,
    arrayBuffer: async () => {
      use();
      throw new Error('FileReader.readAsArrayBuffer is not implemented');
    },
    async blob() {
      use();
      return blob;
    },
  };
}

class OldFileReader {
  onload = (): void => {};
  result = '';
  readAsDataURL(blob: { readonly text: string }): void {
    this.result = `data:application/octet-stream;base64,${blob.text}`;
    queueMicrotask(() => this.onload());
  }
}

describe('[C10] the bytes of an answer', () => {
  test('come one by one where they can be seen', async () => {
    const heard = vi.fn();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const part of [SOME.subarray(0, 1), SOME.subarray(1)]) controller.enqueue(part);
        controller.close();
      },
    });
    const onPhone = await fresh();
    const [there, here] = body.tee().map((each) => new Response(each) as FetchAnswer);
    expect(await bytesOf(here as FetchAnswer, heard)).toEqual(SOME);
    expect(await onPhone(there as FetchAnswer, () => {})).toEqual(SOME);
    expect(heard).toHaveBeenCalledTimes(2);
  });

  test('come through a blob where arrayBuffer is there in name only, from the second answer on', async () => {
    vi.stubGlobal('FileReader', OldFileReader);
    const onPhone = await fresh();
    const blob = { text: Buffer.from(SOME).toString('base64') };
    await expect(onPhone(old(blob), () => {})).rejects.toMatchObject({
      code: 'OFFLINE',
      message: expect.stringContaining('arrayBuffer'),
    });
    expect(await onPhone(old(blob), () => {})).toEqual(SOME);
  });

  test.each([undefined, {}])('that are nowhere to be had are missed in words: %j', async (blob) => {
    const onPhone = await fresh();
    await onPhone(old(blob), () => {}).catch(() => {});
    await expect(onPhone(old(blob), () => {})).rejects.toMatchObject({
      message: expect.stringContaining('React Native 0.73'),
    });
  });

  test('are missed at once where nothing stands in for arrayBuffer', async () => {
    await expect(bytesOf(old({}), () => {})).rejects.toMatchObject({
      message: expect.stringContaining('arrayBuffer'),
    });
  });

  test('that break off are a lost connection', async () => {
    const onPhone = await fresh();
    const lost = { ...old(null), arrayBuffer: () => Promise.reject(new TypeError('network lost')) };
    await expect(onPhone(lost, () => {})).rejects.toThrow('network lost');
  });
});
