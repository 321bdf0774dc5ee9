/** The admin page as an operator uses it (A0). */
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { Point } from '../../admin/api.js';
import { messages } from '../../server/protocol/yjs.js';
import { command, useRoom } from '../support/backups.js';
import { browserTest, startBrowser, useBrowser, useDemoServer } from '../support/browser.js';
import { ADMIN_TOKEN, inspectAll, LOOKS, signedIn, WIDE } from '../support/browser-admin.js';
import { sees, showsTexts } from '../support/browser-demo.js';
import type { JsonDevice } from '../support/devices/json-device.js';
import type { RawNative } from '../support/devices/raw-native.js';
import type { ServerProcess } from '../support/server-process.js';
import { bearer, JWT, tokenFor } from '../support/tokens.js';
import { openJson, openRaw } from '../support/use.js';

startBrowser();

/** What would become an element, and run, where the page took it for more than text. */
const MARKUP = '"><img src=x onerror=document.title=1><script>document.title=1';

/** More records than the page shows at once, of a device with such a name. */
async function writeMarkup(server: ServerProcess, user: string): Promise<void> {
  const changes = Array.from({ length: 120 }, (_, index) => ({
    type: 'DATA_UPDATE',
    data: {
      collection: MARKUP,
      document: { id: `${MARKUP}${index}`, [MARKUP]: MARKUP, link: 'javascript:document.title=1' },
      timestamp: 1,
    },
    userId: user,
    deviceId: MARKUP,
    timestamp: 1,
  }));
  const headers = { ...bearer(await tokenFor(user)), 'Device-ID': MARKUP };
  const body = JSON.stringify({ changes });
  const { status } = await fetch(`${server.url}/api/sync/${user}`, { method: 'POST', headers, body });
  expect(status).toBe(200);
}

/** Devices of a server that asks for tokens. */
async function json(server: ServerProcess, user: string, device: string): Promise<JsonDevice> {
  const opened = openJson(server, user, device, { headers: bearer(await tokenFor(user)) });
  await opened.next('CONNECTION_CONFIRMED');
  return opened;
}

async function tells(server: ServerProcess, device: string, ...waiting: number[]): Promise<RawNative> {
  const raw = openRaw(server, 'anna.keller', device, { token: await tokenFor('anna.keller') });
  await raw.until(() => raw.messages.length > 0);
  raw.send(messages.checkpoint(7, ...waiting));
  await raw.until(() => raw.messages.some(({ type }) => type === 'checkpoint'));
  return raw;
}

/** Anna has records, a phone that tells what it has not sent, and apps that do not tell. */
async function fill(server: ServerProcess): Promise<void> {
  const tablet = await json(server, 'anna.keller', 'tablet');
  tablet.update('appointments', { id: 'a1', patient: 'Rosa Klein', room: 4 });
  await tablet.saved();
  tablet.update('appointments', { id: 'a1', patient: 'Rosa Klein', room: 7 });
  await tablet.saved();
  await tells(server, 'phone', 12, 9, 3 * 86_400_000);
  const bert = await json(server, 'bert', 'phone');
  bert.update('prescriptions', { id: 'p1', drug: 'Ibuprofen' });
  await bert.saved();
  const headers = { ...bearer(await tokenFor('bert')), 'Device-ID': 'queue' };
  await fetch(`${server.url}/api/sync/a%2Fb`, { headers });
  await fetch(`${server.url}/api/yjs/bert`, { method: 'POST', headers, body: Uint8Array.of(0, 2, 0, 0) });
}

/** What a server that was started for the test can't have: an hour behind it. */
const hourBefore = (now: number): Point[] =>
  Array.from({ length: 360 }, (_, index) => {
    const wave = Math.sin(index / 30);
    const [native, json] = [Math.round(40 + 25 * wave), Math.round(30 - 20 * wave)];
    const edits = 12 + 8 * Math.sin(index / 11);
    const commitMost = index % 60 === 0 ? 50 : 10;
    const memory = (120 + index / 12) * 2 ** 20;
    const delay = 2 + (index % 7);
    const at = now - (359 - index) * 10_000;
    return { at, native, json, edits, commitHalf: 5, commitMost, memory, heap: memory / 3, delay };
  });

browserTest('[A0] [O3] an operator signs in, sees how the server does, and finds a user', async () => {
  const server = await useDemoServer({ ADMIN_TOKEN, ...JWT });
  await fill(server);
  const page = await signedIn(server);
  await page.getByTestId('sign-out').click();
  await page.getByLabel('Admin token').fill('a wrong token');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await showsTexts(page.getByRole('alert'), 'ADMIN_TOKEN is missing or wrong.');
  await inspectAll(page, 'sign-in', [LOOKS[0], LOOKS[3]]);
  await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  expect(await page.evaluate(() => document.cookie)).toBe('');
  await showsTexts(page.getByTestId('state'), 'Ready');
  await page.getByText('INVALID_IDENTITY').waitFor();
  const late = await json(server, 'carl', 'phone'); // told without a reload
  await page.getByText('1 native, 3 JSON').waitFor();
  await late.close();
  await page.getByText('1 native, 2 JSON').waitFor();
  await page.route('**/admin/api/overview', async (route) => {
    const answer = await route.fetch();
    const overview = await answer.json();
    await route.fulfill({ json: { ...overview, points: hourBefore(overview.at) } });
  });
  await page.reload();
  await showsTexts(page.getByTestId('live'), 'Live');
  await inspectAll(page, 'overview');

  await page.getByRole('link', { name: 'Users' }).click();
  await sees(() => page.getByTestId('users').locator('tbody tr').count(), 2);
  await page.getByLabel('Search by name').fill('KELL');
  await page.getByRole('button', { name: 'Search' }).click();
  await sees(() => page.getByTestId('users').locator('tbody th').allTextContents(), ['anna.keller']);
  await inspectAll(page, 'users', [LOOKS[0], LOOKS[3]]);

  await page.getByLabel('Find a device').fill(' phone ');
  await page.getByRole('button', { name: 'Find' }).click();
  const found = page.getByTestId('devices').locator('tbody tr');
  await sees(
    async () => (await found.locator('th').allTextContents()).sort(),
    ['anna.keller in the hands of anna.keller', 'bert in the hands of bert'],
  );
  await found.filter({ hasText: 'anna.keller' }).getByText('9 changes, the oldest for 3 days').waitFor();
  await page.getByText('It is remembered for 2 users of the 2 users looked at.').waitFor();
  await inspectAll(page, 'device', [LOOKS[0], LOOKS[3]]);
  await found.getByRole('link', { name: 'bert' }).click();
  await showsTexts(page.getByTestId('user-name'), 'bert');
  const queue = page.getByTestId('devices').locator('tr').filter({ hasText: 'queue' });
  await queue.getByText(/^not known: its app does not tell; all that it sent .+ is saved$/).waitFor();

  await writeMarkup(server, 'bert');
  await page.getByTestId('show-records').click();
  const markup = page.getByTestId(`collection-${MARKUP}`);
  await markup.getByText('120 records').click();
  await sees(() => markup.locator('li').count(), 100);
  await markup.getByRole('button', { name: 'Show more' }).click();
  await sees(() => markup.locator('li').count(), 120);
  await page.getByTestId('show-history').click();
  await sees(() => page.getByTestId('entry').count(), 25);
  await page.getByRole('button', { name: 'Look again' }).click();
  await page.getByRole('link', { name: MARKUP, exact: true }).waitFor();
  expect(await page.locator('img, #app script, [href^="javascript:"]').count()).toBe(0);
  expect(await page.title()).toBe('telemed-sync: operator');
});

browserTest(
  '[A0] [A4] [H6] [P7] devices, records, restore, export, revocation, erasure: each confirmed',
  async () => {
    const server = await useDemoServer({ ADMIN_TOKEN, ...JWT });
    await fill(server);
    const page = await signedIn(server);
    await page.goto(`${server.url}/admin#/users/anna.keller`);
    const phone = page.getByTestId('devices').locator('tr').filter({ hasText: 'phone' });
    await phone.getByText('9 changes, the oldest for 3 days').waitFor();
    const nothing = page.getByTestId('devices').locator('.safe');
    const idle = await tells(server, 'idle', 0, 0, 0);
    const lookAgain = page.getByRole('button', { name: 'Look again' });
    await lookAgain.click();
    await showsTexts(nothing, 'nothing'); // green while it is there, and no longer
    await idle.close();
    await sees(async () => {
      await lookAgain.click();
      return page.getByText('nothing when it was heard of').count();
    }, 1);
    expect(await nothing.count()).toBe(0);
    const tablet = page.getByTestId('devices').locator('tr').filter({ hasText: 'tablet' });
    await tablet.getByText('does not tell').waitFor();
    await page.getByTestId('show-records').click();
    await page.getByText('appointments').click();
    await page.getByText('"room": 7').waitFor();
    await page.getByTestId('show-history').click();
    await sees(() => page.getByTestId('entry').count(), 2);
    await inspectAll(page, 'user');

    await page.getByTestId('restore').last().click();
    await inspectAll(page, 'confirm', [LOOKS[0], LOOKS[3]]);
    await page.getByTestId('confirm').click();
    await sees(() => page.getByTestId('entry').count(), 3);
    await page.getByText('by ~operator (restore)').waitFor();

    await page.getByTestId('export').click();
    const downloaded = page.waitForEvent('download');
    await page.getByTestId('confirm').click();
    expect((await downloaded).suggestedFilename()).toBe('anna.keller.json');

    await page.getByRole('button', { name: 'Take back tokens' }).click();
    await page.getByTestId('confirm').click();
    await showsTexts(
      page.getByRole('status'),
      'All tokens of anna.keller that were issued until now are taken back.',
    );
    await sees(() => page.getByText('connected', { exact: true }).count(), 0); // sent away

    await page.getByTestId('erase').click();
    expect(await page.getByTestId('confirm').isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByTestId('erase').click();
    await page.getByLabel('Type anna.keller to go on').fill('anna.keller');
    await page.getByTestId('confirm').click();
    await showsTexts(page.getByRole('status'), 'All data of anna.keller is erased.');
    await page.getByText('None was here that named itself.').waitFor();

    await page.goto(`${server.url}/admin#/users/%`); // no address of a user
    await page.getByTestId('users').waitFor();
    await page.evaluate(() => fetch('/admin/api/sign-out', { method: 'POST' })); // as in another tab
    await page.getByLabel('Admin token').waitFor();
  },
);

browserTest('[A0] [P11] after a restore the page counts and names who has been back', async () => {
  const { data, backups } = await useRoom();
  const server = await useDemoServer({ ADMIN_TOKEN, ...JWT, DATA_DIR: data });
  await fill(server);
  await server.stop();
  const { data: made } = await command(['backup', backups], { DATA_DIR: data });
  await command(['restore', String(made.folder), '--replace'], { DATA_DIR: data });
  await server.restart();
  const page = await signedIn(server);
  const panel = page.getByTestId('restored');
  await panel.getByText('0 of 4 devices of the 2 users looked at').waitFor();
  await panel.getByText('Not back yet').click();
  await sees(() => panel.locator('li').count(), 4);
  await inspectAll(page, 'restored', [LOOKS[0], LOOKS[3]]);
  const tablet = await json(server, 'anna.keller', 'tablet');
  await panel.getByRole('button', { name: 'Look again' }).click();
  await panel.getByText('1 of 4 devices of the 2 users looked at has been back').waitFor();
  await panel.locator('li').filter({ hasText: 'phone' }).getByRole('link', { name: 'anna.keller' }).click();
  const row = (device: string) => page.getByTestId('devices').locator('tbody tr').filter({ hasText: device });
  await row('phone').getByText('not back yet').waitFor();
  await row('tablet').getByText('has been back').waitFor();
  await inspectAll(page, 'restored-user', [LOOKS[0], LOOKS[3]]);
  await tablet.close();
});

browserTest('[A0] the page is told by one socket; where none gets through it asks', async () => {
  const server = await useDemoServer({ ADMIN_TOKEN });
  const page = await signedIn(server);
  const asked: string[] = [];
  const sockets: string[] = [];
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (/^\/admin\/api\/(overview|users)/.test(pathname)) asked.push(pathname);
  });
  page.on('websocket', (socket) => void sockets.push(socket.url()));
  await page.goto(`${server.url}/admin#/users/anna`);
  await page.getByText('None was here that named itself.').waitFor();
  const row = (device: string) => page.getByTestId('devices').locator('tbody tr').filter({ hasText: device });
  const phone = openJson(server, 'anna', 'phone');
  await row('phone').getByText('connected').waitFor();
  await phone.close();
  await row('phone')
    .getByText(/just now|ago/)
    .waitFor();
  await page.getByRole('link', { name: 'Overview' }).click();
  await showsTexts(page.getByTestId('live'), 'Live');
  expect([asked, sockets]).toEqual([['/admin/api/users/anna/devices'], []]);

  await page.routeWebSocket('**/admin/api/live', (socket) => socket.close());
  await page.reload();
  await showsTexts(page.getByTestId('live'), 'Every 5 s');
  await page.getByText('0 native, 0 JSON').waitFor();
  const tablet = openJson(server, 'anna', 'tablet');
  await page.getByText('0 native, 1 JSON').waitFor();
  await page.goto(`${server.url}/admin#/users/anna`);
  await row('tablet').getByText('connected').waitFor();
  await tablet.close();
  await row('tablet')
    .getByText(/just now|ago/)
    .waitFor();
  await page.evaluate(() => fetch('/admin/api/sign-out', { method: 'POST' }));
  await page.getByLabel('Admin token').waitFor(); // without being asked to
});

browserTest('[A0] two tabs: out together, and in again one after the other, which ends no page', async () => {
  const server = await useDemoServer({ ADMIN_TOKEN });
  const first = await signedIn(server);
  const second = await first.context().newPage();
  const isLive = (page: Page) => showsTexts(page.getByTestId('live'), 'Live');
  await second.goto(`${server.url}/admin`);
  await isLive(second);
  await second.getByTestId('sign-out').click();
  await first.getByLabel('Admin token').waitFor();
  for (const page of [second, first]) {
    await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
    const anew = page === first ? second.waitForEvent('websocket') : null;
    await page.getByRole('button', { name: 'Sign in' }).click();
    await isLive(page);
    await anew; // its session was ended by the sign-in
  }
  await isLive(second);
});

browserTest('[A0] the demo keeps nothing of the admin page for a reload without the server', async () => {
  const server = await useDemoServer();
  const newTab = await useBrowser(WIDE);
  const page = await newTab();
  await page.goto(server.url);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await sees(() => page.evaluate(() => navigator.serviceWorker.controller !== null), true);
  await page.reload(); // from here on the worker answers for the page
  for (const path of ['/admin', '/ready', '/admin/api/overview']) await page.goto(server.url + path);
  await server.kill();
  await page.goto(server.url);
  expect(await page.title()).toBe('telemed-sync demo');
});
