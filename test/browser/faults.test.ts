import type { Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { browserTest, startBrowser, useBrowser, useDemoServer } from '../support/browser.js';
import { Demo, sees } from '../support/browser-demo.js';
import { NativeDevice } from '../support/devices/native-device.js';

startBrowser();

browserTest('[C9] two tabs share a document while both are offline, and no row is there twice', async () => {
  const server = await useDemoServer();
  const newTab = await useBrowser();
  const [a, b] = [await Demo.open(await newTab(), server), await Demo.open(await newTab(), server)];
  await a.page.bringToFront();
  await a.page.getByTestId('sample').click();
  for (const tab of [a, b]) await tab.settledWith(5);
  for (const device of ['phone', 'tablet'] as const) {
    await a[device].switch('off');
    await b[device].connection('Offline');
  }

  await a.phone.edit('Anna Weber', 'room', '12');
  await b.phone.shows('Anna Weber', { room: '12' });
  await b.page.bringToFront();
  await b.phone.edit('Anna Weber', 'notes', 'Came by train');
  await b.phone.add({ patient: 'Omar Nassar' });
  await a.phone.shows('Anna Weber', { room: '12', notes: 'Came by train' });
  await a.phone.card('Omar Nassar').waitFor();
  await b.tablet.setStatus('Anna Weber', 'arrived');
  await a.tablet.shows('Anna Weber', { status: 'arrived', room: '4' });
  for (const tab of [a, b]) {
    await tab.phone.pending(3);
    await tab.tablet.pending(1);
  }

  for (const device of ['phone', 'tablet'] as const) await b[device].switch('on');
  for (const tab of [a, b]) {
    const merged = { room: '12', notes: 'Came by train', status: 'arrived' };
    for (const pane of [tab.phone, tab.tablet]) await pane.shows('Anna Weber', merged);
    await tab.settledWith(6);
  }
});

browserTest('[C9 P10] however often a page is loaded, each device writes under one client id', async () => {
  const server = await useDemoServer();
  const newTab = await useBrowser();
  const demo = await Demo.open(await newTab(), server);
  const { phone, tablet } = demo;
  await phone.add({ patient: 'Rosa Klein', room: '0' });
  await tablet.card('Rosa Klein').waitFor();
  for (const n of [1, 2, 3]) {
    await phone.edit('Rosa Klein', 'room', `${n}`);
    await tablet.edit('Rosa Klein', 'notes', `Seen ${n} times`);
    await demo.settledWith(1);
    await demo.reload();
    await phone.connection('Online');
    await tablet.connection('Online');
  }
  const other = await NativeDevice.connect(server.url, 'visitor', 'other');
  onTestFinished(() => other.close());
  expect(other.collection('appointments').size).toBe(1);
  expect(other.doc.store.clients.size).toBe(2);
  await phone.shows('Rosa Klein', { room: '3', notes: 'Seen 3 times' });
});

const deleteDatabase = (page: Page, name: string): Promise<void> =>
  page.evaluate(
    (database) =>
      new Promise<void>((resolve, reject) => {
        const request = indexedDB.deleteDatabase(database);
        request.onsuccess = () => resolve();
        request.onerror = () => reject(request.error);
      }),
    name,
  );

browserTest.each(['another tab', 'the page itself'])(
  '[C7 C4] %s deletes the database under a running device: it says so, recovers, and loses nothing',
  async (who) => {
    const server = await useDemoServer();
    const newTab = await useBrowser();
    const demo = await Demo.open(await newTab(), server);
    const { page, phone, tablet } = demo;
    await phone.add({ patient: 'Rosa Klein', room: '4' });
    await tablet.card('Rosa Klein').waitFor();
    await demo.settledWith(1);
    await phone.switch('off');
    await phone.edit('Rosa Klein', 'room', '7');
    await phone.pending(1);

    const other = who === 'another tab' ? await newTab() : page;
    if (other !== page) await other.goto(`${server.url}/icon.svg`);
    await page.bringToFront();
    const complained = await demo.lookOut('phone-storage-error');
    await deleteDatabase(other, 'demo-phone/user/visitor');
    await complained();
    await phone.edit('Rosa Klein', 'notes', 'Written after the deletion');
    await phone.pending(2);
    await sees(() => page.getByTestId('phone-storage-error').count(), 0);

    await demo.reload();
    await phone.pending(2);
    await phone.switch('on');
    await tablet.shows('Rosa Klein', { room: '7', notes: 'Written after the deletion' });
    await demo.settledWith(1);
  },
);

browserTest(
  '[C6 C4] the server is killed and comes back: the devices tell, and what was edited arrives',
  async () => {
    const server = await useDemoServer();
    const newTab = await useBrowser();
    const demo = await Demo.open(await newTab(), server);
    const { page, phone, tablet, oldApp } = demo;
    await phone.add({ patient: 'Rosa Klein', room: '4' });
    await tablet.card('Rosa Klein').waitFor();
    await demo.settledWith(1);

    await server.kill();
    for (const name of ['phone', 'tablet']) await page.getByTestId(`${name}-reason`).waitFor();
    await sees(() => page.locator('.badge[data-state=online]').count(), 0);
    await phone.edit('Rosa Klein', 'room', '7');
    await tablet.setStatus('Rosa Klein', 'arrived');
    await tablet.add({ patient: 'Omar Nassar' });
    await phone.pending(1);
    await tablet.pending(2);

    await server.restart();
    for (const pane of [phone, tablet, oldApp]) {
      await pane.connection('Online');
      await pane.shows('Rosa Klein', { room: '7', status: 'arrived' });
      await pane.shows('Omar Nassar', { status: 'booked' });
      await pane.pending(0);
    }
    await demo.settledWith(2);
    await sees(() => page.locator('.notice').count(), 0);
  },
);
