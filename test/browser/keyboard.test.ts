import type { Locator } from 'playwright-core';
import { expect } from 'vitest';
import { browserTest, startBrowser, useBrowser, useDemoServer } from '../support/browser.js';
import { Demo, sees, showsTexts } from '../support/browser-demo.js';

startBrowser();

const hasFocus = (locator: Locator): Promise<boolean> =>
  locator.evaluateAll((elements) => elements.includes(document.activeElement as HTMLElement));

async function tabTo(locator: Locator): Promise<void> {
  for (let stops = 0; stops < 80; stops++) {
    await locator.page().keyboard.press('Tab');
    if (await hasFocus(locator)) return;
  }
  throw new Error(`Tab does not come to ${locator}`);
}

async function useDemo(): Promise<Demo> {
  const newTab = await useBrowser();
  return Demo.open(await newTab(), await useDemoServer());
}

browserTest('[C3] an appointment is added and edited with the keyboard alone', async () => {
  const { page, phone, tablet } = await useDemo();
  const { keyboard } = page;
  const adder = page.getByTestId('phone-add');
  await tabTo(adder);
  await keyboard.press('Enter');
  await keyboard.press('Escape');
  await sees(() => hasFocus(adder), true);
  await keyboard.press('Enter');
  await sees(() => hasFocus(phone.root.locator('[name=patient]')), true);
  await keyboard.type('Vera Lang');
  await tabTo(phone.root.locator('[name=room]'));
  await keyboard.type('3');
  await keyboard.press('Enter');
  await phone.shows('Vera Lang', { room: '3' });
  await sees(() => hasFocus(adder), true);

  const room = phone.card('Vera Lang').getByTestId('field-room');
  await tabTo(room);
  await keyboard.press('Enter');
  await keyboard.type('12');
  await keyboard.press('Enter');
  await showsTexts(room, '12');
  await sees(() => hasFocus(room), true);
  await keyboard.press('Enter');
  await keyboard.type('99');
  await keyboard.press('Escape');
  await showsTexts(room, '12');
  await sees(() => hasFocus(room), true);
  await tablet.shows('Vera Lang', { room: '12' });
  await phone.pending(0);
});

browserTest('the switches, the history and the tabs of a narrow screen work with the keyboard', async () => {
  const { page, phone, history, entries } = await useDemo();
  const { keyboard } = page;
  await phone.add({ patient: 'Vera Lang' });
  await phone.pending(0);
  const opener = phone.card('Vera Lang').getByTestId('open-history');
  await tabTo(opener);
  await keyboard.press('Enter');
  await sees(() => entries.count(), 1);
  await keyboard.press('Escape');
  await sees(() => history.count(), 0);
  expect(await hasFocus(opener)).toBe(true);

  await page.locator('body').press('Tab');
  await tabTo(page.getByTestId('phone-network'));
  await keyboard.press('Space');
  await phone.connection('Offline');

  await page.setViewportSize({ width: 390, height: 844 });
  await tabTo(page.getByTestId('tab-phone'));
  await keyboard.press('ArrowRight');
  await page.locator('#panel-tablet').waitFor();
  await sees(() => page.locator('.panel').filter({ visible: true }).count(), 1);
  expect(await hasFocus(page.getByTestId('tab-tablet'))).toBe(true);
  await keyboard.press('ArrowLeft');
  await page.locator('#panel-phone').waitFor();
});
