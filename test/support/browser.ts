/** Chromium for the tests that look at the demo. Where there is none they are skipped; in CI they fail. */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { beforeAll, expect, onTestFinished, type TestContext, test, vi } from 'vitest';
import { ServerProcess } from './server-process.js';
import { PATIENCE } from './wait.js';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const isMissing = !existsSync(CHROMIUM);
const MISSING = `There is no ${CHROMIUM}: install it (apt-get install chromium), or name another one in CHROMIUM.`;

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** For one step on a machine that has much else to do, in ms. */
export const STEP = 30_000;
const SCREENSHOTS = 'artifacts/screenshots';

/** That of this process, whose files come one after the other; Playwright ends it with the process. */
let browser: Browser | null = null;

/** For the tests of this file; call it once, at its top. */
export function startBrowser(): void {
  vi.setConfig({ testTimeout: 4 * Math.max(STEP, PATIENCE), hookTimeout: 2 * Math.max(STEP, PATIENCE) });
  if (isMissing && !process.env.CI) process.stderr.write(`The browser tests are skipped. ${MISSING}\n`);
  beforeAll(async () => {
    if (isMissing && process.env.CI) throw new Error(MISSING);
    if (isMissing || browser?.isConnected()) return;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  });
}

export const browserTest = test.skipIf(isMissing && !process.env.CI);

/** The built server with the demo, gone when the test ends. */
export async function useDemoServer(more: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start({ DEMO: 'true', LOG_LEVEL: 'info', ...more });
  onTestFinished(() => server.dispose());
  return server;
}

/**
 * A browser of its own, with nothing stored; it opens tabs. Of a test that fails, it keeps what they showed. Nothing
 * moves unless a test is about that: the steps of it are drawn by the processor.
 */
export async function useBrowser(options: BrowserContextOptions = {}): Promise<() => Promise<Page>> {
  if (browser === null) throw new Error(MISSING);
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(STEP);
  const thrown: Error[] = [];
  context.on('weberror', (event) => thrown.push(event.error()));
  onTestFinished(async ({ task }: TestContext) => {
    const name = `failed-${task.name.replace(/\W+/g, '-')}`;
    const isFailed = task.result?.state === 'fail';
    if (isFailed) await Promise.all(context.pages().map((page, index) => keep(page, `${name}-${index + 1}`)));
    await context.close();
    expect(thrown, 'what nothing in the page caught').toEqual([]);
  });
  return () => context.newPage();
}

/** The failure itself tells more than one of this would. */
const keep = (page: Page, name: string): Promise<void> => screenshot(page, name).catch(() => {});

export async function screenshot(page: Page, name: string, fullPage = true): Promise<void> {
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage });
}
