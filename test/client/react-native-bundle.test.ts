import { builtinModules } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as Phone from '../../client/react-native.js';
import { bundleForPhones, type Decoder, type PhoneBundle, startApp } from '../support/phone-bundle.js';
import { startServer, type TestServer } from '../support/server.js';

const SERVER_PACKAGES = ['classic-level', 'express', 'helmet', 'pino', 'ws', 'zod'];

let bundle: PhoneBundle;
let server: TestServer;

beforeAll(async () => {
  [bundle, server] = await Promise.all([
    bundleForPhones(
      'packages/client/dist/client/react-native.js',
      './packages/client/dist/client/react-native/webcrypto.js',
    ),
    startServer(),
  ]);
});
afterAll(() => server.close());

const appointments = async (userId: string): Promise<unknown> => {
  const answer = await fetch(`${server.url}/api/sync/${userId}`, { headers: { 'Device-ID': 'reader' } });
  return ((await answer.json()) as { appointments: unknown }).appointments;
};

test('[C5] the bundle for phones has nothing of Node and nothing of the server', () => {
  const { inputs, outputs } = bundle.meta;
  const imports = Object.values(outputs).flatMap((output) => output.imports.map(({ path }) => path));
  const isForeign = (path: string): boolean =>
    path.startsWith('packages/server/') ||
    SERVER_PACKAGES.some((name) => path.includes(`node_modules/${name}/`));
  expect(imports.filter((path) => path.startsWith('node:') || builtinModules.includes(path))).toEqual([]);
  expect(Object.keys(inputs).filter(isForeign)).toEqual([]);
  expect(Object.keys(inputs)).toContain('packages/client/dist/client/react-native/webcrypto.js');
});

describe.each<Decoder>(['none', 'refusing', 'whole'])('where TextDecoder is: %s', (decoder) => {
  test('[C4 C5] what is added offline survives a restart of the app and reaches the server', async () => {
    const options = { serverUrl: server.url, userId: `phone-${decoder}`, deviceId: 'phone' };
    const items = new Map<string, string>();

    const first = startApp<typeof Phone>(bundle, { items, decoder }).app.syncManager;
    await first.initialize({ ...options, autoConnect: false });
    const id = await first.addData('appointments', { note: 'Späti 🩺', at: { room: 4 } });
    expect(first.getSyncStatus()).toMatchObject({ pendingChanges: 1, connected: false, durable: true });

    const second = startApp<typeof Phone>(bundle, { items, decoder }).app.syncManager;
    await second.initialize(options);
    expect(await second.getLocalData('appointments', id)).toEqual({ id, note: 'Späti 🩺', at: { room: 4 } });
    await second.whenSynced();
    expect(second.getSyncStatus()).toMatchObject({ pendingChanges: 0, connected: true });
    expect(await appointments(options.userId)).toEqual([{ id, note: 'Späti 🩺', at: { room: 4 } }]);
    await second.close();
  });

  test('the app has the TextDecoder of its phone once it runs', () => {
    const { globals } = startApp(bundle, { items: new Map(), decoder });
    expect(typeof globals.TextDecoder).toBe(decoder === 'none' ? 'undefined' : 'function');
  });
});

test('an app without secure random numbers is told what to install', () => {
  const start = () => startApp(bundle, { items: new Map(), decoder: 'none', crypto: null });
  expect(start).toThrow('Install react-native-get-random-values');
});

test('[C1] on a phone everything has the names that the types of the package tell', async () => {
  const { app } = startApp<typeof Phone>(bundle, { items: new Map(), decoder: 'none' });
  const names = Object.keys(await import('../../client/index.js'));
  expect(names.filter((name) => !(name in app))).toEqual([]);
});
