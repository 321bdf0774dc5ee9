/** Servers and devices of one test, which are gone when it ends. */
import { onTestFinished } from 'vitest';
import type { ClientOptions } from 'ws';
import { JsonDevice } from './devices/json-device.js';
import { NativeDevice, type NativeOptions } from './devices/native-device.js';
import { RawNative } from './devices/raw-native.js';
import { type ServerParts, startServer, type TestServer } from './server.js';

interface Address {
  readonly url: string;
}

export async function useServer(
  options: Readonly<Record<string, string>> = {},
  parts: ServerParts = {},
): Promise<TestServer> {
  const server = await startServer(options, parts);
  onTestFinished(async () => void (await server.close()));
  return server;
}

/** One that sends JSON devices everything at once, where a test is about something else than L4's pace. */
export const useUnpaced = (
  options: Readonly<Record<string, string>> = {},
  parts: ServerParts = {},
): Promise<TestServer> => useServer({ JSON_PACE: '0', ...options }, parts);

/** A JSON device whose connection is confirmed. */
export async function useJson({ url }: Address, user: string, device: string): Promise<JsonDevice> {
  const opened = openJson({ url }, user, device);
  await opened.next('CONNECTION_CONFIRMED');
  return opened;
}

/** A JSON device that only begins to connect. */
export function openJson(
  { url }: Address,
  user: string,
  device: string,
  options: ClientOptions = {},
): JsonDevice {
  const opened = new JsonDevice(url, user, device, options);
  onTestFinished(() => opened.ws.terminate());
  return opened;
}

/** A native device that is synced. */
export async function useNative(
  { url }: Address,
  user: string,
  device: string,
  options: NativeOptions = {},
): Promise<NativeDevice> {
  const opened = openNative({ url }, user, device, options);
  await opened.synced();
  return opened;
}

/** A native device that only begins to connect. */
export function openNative(
  { url }: Address,
  user: string,
  device: string,
  options: NativeOptions = {},
): NativeDevice {
  const opened = new NativeDevice(url, user, device, options);
  onTestFinished(() => opened.close());
  return opened;
}

/** A bare socket that has the server's first message. */
export async function useRaw({ url }: Address, user: string, device?: string): Promise<RawNative> {
  const opened = openRaw({ url }, user, device);
  await opened.until(() => opened.messages.length > 0);
  return opened;
}

export function openRaw(
  { url }: Address,
  user: string,
  device?: string,
  params: Readonly<Record<string, string>> = {},
): RawNative {
  const opened = new RawNative(url, user, device, params);
  onTestFinished(() => opened.ws.terminate());
  return opened;
}
