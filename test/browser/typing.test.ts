/** A controlled input whose value is a field of a record: the client in a page, with IndexedDB, and no server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import type { Locator } from 'playwright-core';
import { expect, onTestFinished, vi } from 'vitest';
import { browserTest, STEP, startBrowser, useBrowser } from '../support/browser.js';

startBrowser();

const PAGE = `
  import { createElement as h, useState } from 'react';
  import { createRoot } from 'react-dom/client';
  import { syncManager } from './client/index.js';
  import { useRecord } from './client/react/index.js';
  function Form() {
    const record = useRecord('notes', 'n');
    const write = (event) => void syncManager.updateData('notes', 'n', { note: event.target.value });
    return record && h('input', { value: record.note, onChange: write });
  }
  await syncManager.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
  if (syncManager.getRecord('notes', 'n') === null) await syncManager.addData('notes', { id: 'n', note: '' });
  window.durable = () => syncManager.status.current.durable;
  createRoot(document.getElementById('root')).render(h(Form));`;

async function servedPage(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: PAGE, resolveDir: process.cwd(), loader: 'js' },
    bundle: true,
    write: false,
    format: 'esm',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'error',
  });
  const script = outputFiles[0]?.text ?? '';
  const site = createServer(({ url }, response) => {
    if (url === '/app.js') response.setHeader('Content-Type', 'text/javascript').end(script);
    else
      response
        .setHeader('Content-Type', 'text/html')
        .end('<div id=root></div><script type=module src=/app.js></script>');
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    site.closeAllConnections();
    site.close();
  });
  return `http://127.0.0.1:${(site.address() as AddressInfo).port}/`;
}

const caretOf = (input: Locator): Promise<number | null> =>
  input.evaluate((element) => (element as HTMLInputElement).selectionStart);

browserTest.for([0, 10, 80])(
  '[C3] typing at %i ms a key keeps every letter, and the caret where it was',
  async (delay) => {
    const page = await (await useBrowser())();
    await page.goto(await servedPage());
    const input = page.locator('input');
    await input.click();
    expect(await page.evaluate('durable()')).toBe(true);
    await page.keyboard.type('abcdefghij', { delay });
    expect(await input.inputValue()).toBe('abcdefghij');
    for (let n = 0; n < 5; n++) await page.keyboard.press('ArrowLeft');
    await page.keyboard.type('XYZ', { delay });
    expect(await input.inputValue()).toBe('abcdeXYZfghij');
    expect(await caretOf(input)).toBe(8);
    await page.keyboard.press('Backspace');
    await page.keyboard.press('Home');
    await page.keyboard.type('ß🙂', { delay });
    expect([await input.inputValue(), await caretOf(input)]).toEqual(['ß🙂abcdeXYfghij', 3]);
    // What was typed is stored, and there after the page is loaded again.
    await vi.waitFor(
      async () => {
        await page.reload();
        expect(await page.locator('input').inputValue()).toBe('ß🙂abcdeXYfghij');
      },
      { timeout: STEP },
    );
  },
);
