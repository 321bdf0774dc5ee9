/** The admin page in a browser, as an operator sees it. */
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { useBrowser } from './browser.js';
import { sees, showsTexts } from './browser-demo.js';
import { inspect } from './browser-looks.js';
import type { ServerProcess } from './server-process.js';

export const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
export const WIDE = { viewport: { width: 1440, height: 900 } };
export const LOOKS = [
  { look: 'light', width: 1440, colorScheme: 'light' },
  { look: 'dark', width: 1440, colorScheme: 'dark' },
  { look: 'narrow', width: 390, colorScheme: 'light' },
  { look: 'narrow-dark', width: 390, colorScheme: 'dark' },
] as const;

export async function inspectAll(
  page: Page,
  what: string,
  looks: readonly (typeof LOOKS)[number][] = LOOKS,
): Promise<void> {
  for (const { look, width, colorScheme } of looks) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await sees(() => page.locator('html').getAttribute('data-theme'), colorScheme);
    await inspect(page, `admin-${what}-${look}`);
  }
  await page.setViewportSize(WIDE.viewport);
}

/** Of somebody who signed in, with nothing refused by the content policy. */
export async function signedIn(server: ServerProcess): Promise<Page> {
  const newTab = await useBrowser({ ...WIDE, colorScheme: 'light' });
  const page = await newTab();
  const refused: string[] = [];
  page.on(
    'console',
    (message) => /Content Security Policy/.test(message.text()) && refused.push(message.text()),
  );
  await page.goto(`${server.url}/admin`);
  await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await showsTexts(page.getByTestId('live'), 'Live');
  expect(refused, 'what the content policy refused').toEqual([]);
  return page;
}
