/** What is in anybody's way on a page, and a picture of it. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { screenshot } from './browser.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds that is serious or worse, in a line each. */
async function obstacles(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  // A colour that is still on its way from the other theme is not one that anybody reads.
  await page.evaluate(async () => {
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    await Promise.allSettled(document.getAnimations().map(({ finished }) => finished));
  });
  const { violations } = await page.evaluate(() => {
    const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    return axe.run({ resultTypes: ['violations'] });
  });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/** Keeps what the page looks like, and finds nothing that is in anybody's way. */
export async function inspect(page: Page, name: string): Promise<void> {
  expect(await obstacles(page), name).toEqual([]);
  const hidden = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(hidden, 'nothing is wider than the screen').toBeLessThanOrEqual(0);
  // What is fixed to the screen has no place in a picture of the whole page.
  await screenshot(page, name, (await page.getByTestId('history').count()) === 0);
}
