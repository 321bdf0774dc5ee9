// @vitest-environment happy-dom
import '../../support/web-globals.js';
import { afterEach, expect, test } from 'vitest';
import { syncManager } from '../../../client/index.js';
import { JsonDevice } from '../../support/devices/json-device.js';
import { cleanScreens, type Rendered, render, renderByItself } from '../../support/rendered.js';
import { startServer, type TestServer } from '../../support/server.js';
import { AppointmentsScreen } from './drop-in-screen.js';

let server: TestServer;
afterEach(async () => {
  await syncManager.close();
  await server.close();
});
cleanScreens();

const element = (screen: Rendered, selector: string): HTMLElement => {
  const found = screen.container.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`${selector} is not there: ${screen.text}`);
  return found;
};

/** Writes into the field and sends the form, as a user does. */
function add(screen: Rendered, patient: string): void {
  const input = element(screen, 'input') as HTMLInputElement;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(input, patient);
  input.dispatchEvent(new Event('input', { bubbles: true }));
  element(screen, 'form').dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
}

test('[C1 C2] a screen that was written for the JSON client works on this one, beside a JSON device', async () => {
  server = await startServer();
  const old = await JsonDevice.connect(server.url, 'anna', 'old');
  const screen = await render(<AppointmentsScreen serverUrl={server.url} userId="anna" />);
  renderByItself();
  await screen.until(() => screen.text.includes('connected, 0 pending'));

  add(screen, 'Bea');
  await old.until(() => old.store.appointments?.['a-Bea']);
  expect(old.store.appointments?.['a-Bea']).toEqual({ id: 'a-Bea', patient: 'Bea', status: 'booked' });

  old.update('appointments', { id: 'a-Abe', patient: 'Abe', status: 'booked', room: '4' });
  await screen.until(() => screen.text.includes('Abe: booked 4'));
  expect(screen.text.indexOf('Abe')).toBeLessThan(screen.text.indexOf('Bea'));

  screen.press('#offline');
  await screen.until(() => screen.text.includes('offline, 0 pending'));
  screen.press('#a-Abe .arrived');
  await screen.until(() => screen.text.includes('offline, 1 pending'));
  old.update('appointments', { id: 'a-Abe', patient: 'Abe', status: 'booked', room: '7' });
  await old.saved();
  screen.press('#online');
  await screen.until(() => screen.text.includes('Abe: arrived 7') && screen.text.includes('0 pending'));
  await old.until(() => old.store.appointments?.['a-Abe']?.status === 'arrived');

  screen.press('#a-Bea .delete');
  await old.until(() => !old.store.appointments?.['a-Bea']);
  const log = element(screen, 'pre').textContent?.split('\n');
  expect(log).toEqual(expect.arrayContaining(['add appointments a-Bea', 'delete appointments a-Bea']));
  expect(log).toEqual(expect.arrayContaining(['add appointments a-Abe', 'update appointments a-Abe']));
  expect(syncManager.getConfig()).toMatchObject({ userId: 'anna', deviceId: 'desk', serverUrl: server.url });
  await old.close();
});
