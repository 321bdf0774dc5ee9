import type { Page } from 'playwright-core';
import { browserTest, startBrowser, useBrowser, useDemoServer } from '../support/browser.js';
import { Demo, sees } from '../support/browser-demo.js';
import { inspect } from '../support/browser-looks.js';

startBrowser();

const WIDE = { viewport: { width: 1440, height: 900 } };
const NARROW = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const LOOKS = [
  { look: 'light', width: 1440, colorScheme: 'light' },
  { look: 'dark', width: 1440, colorScheme: 'dark' },
  { look: 'drawer', width: 1100, colorScheme: 'light' },
  { look: 'narrow', width: 390, colorScheme: 'light' },
  { look: 'narrow-dark', width: 390, colorScheme: 'dark' },
] as const;

/** Until the page has followed the system to the other theme, its colours are of neither. */
async function follow(page: Page, colorScheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme });
  await sees(() => page.locator('html').getAttribute('data-theme'), colorScheme);
}

async function inspectAll(page: Page, what: string): Promise<void> {
  for (const { look, width, colorScheme } of LOOKS) {
    await follow(page, colorScheme);
    await page.setViewportSize({ width, height: 900 });
    await sees(() => page.getByTestId('tab-phone').count(), width < 760 ? 1 : 0);
    await inspect(page, `${look}${what}`);
  }
  await page.setViewportSize(WIDE.viewport);
}

browserTest('light, dark and narrow, the history closed and open: axe finds nothing serious', async () => {
  const server = await useDemoServer();
  const newTab = await useBrowser({ ...WIDE });
  const demo = await Demo.open(await newTab(), server, 'user=visitor&pace=0.05');
  const { page, phone, tablet, oldApp, entries } = demo;
  await inspect(page, 'light-empty');
  await page.getByTestId('sample').click();
  await phone.pending(0);
  await sees(() => tablet.cards.count(), 5);
  await demo.play('old-record');
  await page.getByText('This in your app').click();
  await phone.edit('Anna Weber', 'room', '12');
  await phone.setStatus('Anna Weber', 'arrived');
  await sees(() => oldApp.record('Anna Weber').getByTestId('json-status').allTextContents(), ['"arrived"']);
  await phone.pending(0);
  await inspectAll(page, '');

  await phone.card('Anna Weber').getByTestId('open-history').click();
  await sees(() => entries.count(), 3);
  await inspectAll(page, '-history');

  await page.keyboard.press('Escape');
  for (const pane of [phone, oldApp]) await pane.switch('off');
  await phone.edit('Tomás Rivera', 'room', '8');
  await oldApp.edit('Tomás Rivera', 'notes', 'Has a lift');
  await sees(() => page.getByTestId('mote-waiting').count(), 2);
  for (const colorScheme of ['light', 'dark'] as const) {
    await follow(page, colorScheme);
    await inspect(page, `${colorScheme}-waiting`);
  }
});

browserTest('[C7 C6] what does not work is told: no storage, no server, no history', async () => {
  const server = await useDemoServer();
  const newTab = await useBrowser({ ...WIDE, colorScheme: 'light' });
  const page = await newTab();
  await page.addInitScript(() => Object.defineProperty(globalThis, 'indexedDB', { value: undefined }));
  const { phone, tablet } = await Demo.open(page, server);
  for (const name of ['phone', 'tablet']) await page.getByTestId(`${name}-storage-error`).waitFor();
  await phone.add({ patient: 'Rosa Klein', room: '4' });
  await tablet.shows('Rosa Klein', { room: '4' });
  await phone.card('Rosa Klein').getByTestId('delete').click();
  await sees(() => tablet.cards.count(), 0);
  await phone.pending(0);
  await server.kill();
  await page.getByTestId('phone-reason').waitFor();
  await page.getByTestId('all-history').click();
  await page.getByTestId('history-error').waitFor();
  await phone.add({ patient: 'Omar Nassar' });
  await phone.pending(1);
  await inspect(page, 'errors');
});

browserTest('an empty page invites, and the theme can be chosen and is kept', async () => {
  const server = await useDemoServer();
  const newTab = await useBrowser({ ...NARROW, colorScheme: 'light' });
  const demo = await Demo.open(await newTab(), server);
  const { page, phone } = demo;
  await inspect(page, 'narrow-empty');
  await phone.root.getByRole('button', { name: 'Load sample data' }).click();
  await sees(() => phone.cards.count(), 5);
  await phone.pending(0);
  await page.getByTestId('theme').click();
  await demo.reload();
  await page.getByRole('button', { name: 'Switch to the light theme' }).waitFor();
  await phone.connection('Online');
  await inspect(page, 'narrow-dark-chosen');
});
