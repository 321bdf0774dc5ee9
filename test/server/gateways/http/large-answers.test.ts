/** Answers with all of a large document are made in steps, so that nobody else waits for them. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { Slices } from '../../../../server/documents/loading/slices.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { decodeExchange, encodeExchange } from '../../../../server/protocol/exchange.js';
import { docOf } from '../../../support/large-document.js';
import { client } from '../../../support/replicas.js';
import type { TestServer } from '../../../support/server.js';
import { useServer } from '../../../support/use.js';

const NOTHING = new Uint8Array(0);
const EMPTY_DOCUMENT = Uint8Array.of(0);

afterEach(() => {
  vi.restoreAllMocks();
});

const post = (
  { url }: TestServer,
  stateVector: Uint8Array,
  update: Uint8Array = NOTHING,
  signal?: AbortSignal,
) =>
  fetch(`${url}/api/yjs/anna?rewrites=1`, {
    method: 'POST',
    headers: { 'Device-ID': 'phone' },
    body: Buffer.from(encodeExchange({ stateVector, update })),
    signal: signal ?? null,
  });

const answerOf = async (response: Response) => {
  expect(response.status).toBe(200);
  return decodeExchange(new Uint8Array(await response.arrayBuffer()));
};

/** A server with a large document of anna; the steps of each work that it does from now on. */
async function useLarge() {
  const server = await useServer();
  const doc = docOf(5_000);
  await answerOf(await post(server, NOTHING, Y.encodeStateAsUpdate(doc)));
  const works: { steps: number; end: Promise<unknown> }[] = [];
  const { run } = Slices.prototype;
  vi.spyOn(Slices.prototype, 'run').mockImplementation(function (this: Slices, steps, ...how) {
    const work = { steps: 0, end: Promise.resolve() as Promise<unknown> };
    const counted = (function* () {
      for (;;) {
        const { done, value } = steps.next();
        work.steps++;
        if (done === true) return value;
        yield;
      }
    })();
    works.push(work);
    const end = run.call(this, counted, ...how);
    work.end = end;
    return end as never;
  });
  return { server, doc, works };
}

describe('[H3] [S4] POST /api/yjs of a large document', () => {
  test('is encoded in steps for who has nothing, at once for who lacks little', async () => {
    const { server, doc, works } = await useLarge();
    const { update, stateVector } = await answerOf(await post(server, EMPTY_DOCUMENT));
    expect(works.map(({ steps }) => steps > 2)).toEqual([true]);
    const copy = client(2);
    Y.applyUpdate(copy, update);
    expect(copy.getMap('patients').toJSON()).toEqual(doc.getMap('patients').toJSON());
    expect(stateVector).toEqual(Y.encodeStateVector(doc));
    const nothing = await answerOf(await post(server, stateVector));
    expect([nothing.update.length, works.length]).toEqual([2, 1]);
  });

  test('is not gone on with where the client has gone', async () => {
    const { server, works } = await useLarge();
    const leaving = new AbortController();
    const { diffInSteps } = UserDocument.prototype;
    vi.spyOn(UserDocument.prototype, 'diffInSteps').mockImplementation(function (
      this: UserDocument,
      stateVector,
      isWanted,
    ) {
      leaving.abort();
      return new Promise((resolve) => setTimeout(resolve, 0))
        .then(() => expect.poll(() => isWanted?.()).toBe(false))
        .then(() => diffInSteps.call(this, stateVector, isWanted));
    });
    await expect(post(server, EMPTY_DOCUMENT, NOTHING, leaving.signal)).rejects.toThrow('aborted');
    await expect.poll(() => works.length).toBe(1);
    await expect(works[0]?.end).rejects.toMatchObject({ code: 'RESTARTING' });
    expect(works[0]?.steps).toBe(0);
  });

  test('[P10] is that of the new document where it was written anew meanwhile', async () => {
    const { server, doc } = await useLarge();
    const { diffInSteps } = UserDocument.prototype;
    vi.spyOn(UserDocument.prototype, 'diffInSteps').mockImplementationOnce(function (
      this: UserDocument,
      stateVector,
    ) {
      const before = diffInSteps.call(this, stateVector);
      return this.rewriting.run(77, () => {}).then(() => before);
    });
    const { update, stateVector } = await answerOf(await post(server, EMPTY_DOCUMENT));
    expect([...Y.decodeStateVector(stateVector).keys()]).toEqual([77]);
    const copy = client(2);
    Y.applyUpdate(copy, update);
    expect([...copy.store.clients.keys()]).toEqual([77]);
    expect(copy.getMap('patients').toJSON()).toEqual(doc.getMap('patients').toJSON());
  });
});
