/**
 * `npm run docs:picture`: plays the first scene of the demo in Chromium and writes it to docs/demo.png, which moves, and
 * its end to docs/demo-still.png. It is played slowly, so that a busy machine misses nothing, and shown at its real speed.
 */
import { writeFile } from 'node:fs/promises';
import { chromium, type Page } from 'playwright-core';
import { buildIfOld } from '../test/support/build.js';
import { ServerProcess } from '../test/support/server-process.js';
import { type Frame, type Patch, type Pixels, patchBetween, readPng, writeMoving } from './picture/png.js';

const SLOWER = 5;
/** The end, and the start of the next round. In ms. */
const END_SHOWN = 4_000;
const SIZE = { width: 900, height: 1_400 };

interface Shot {
  readonly png: Buffer;
  readonly at: number;
}

async function filmed(page: Page): Promise<Shot[]> {
  const stage = page.getByTestId('stage');
  const shots: Shot[] = [];
  await page.locator('.in-your-app').evaluate((code: HTMLElement) => {
    code.hidden = true;
  });
  await page.getByTestId('play-edits').click();
  await page.getByText('lose the network').waitFor();
  for (let isOver = false; !isOver; ) {
    isOver = (await stage.getAttribute('data-phase')) === 'done';
    shots.push({ at: performance.now(), png: await stage.screenshot() });
  }
  return shots;
}

/** The end comes first: it is what is shown where nothing moves. */
function framesOf(shots: readonly Shot[]): Frame[] {
  const pictures = shots.map(({ at, png }) => ({ at, pixels: readPng(png) }));
  let last = pictures.at(-1)?.pixels as Pixels;
  const frames: Frame[] = [{ patch: { ...last, x: 0, y: 0 } satisfies Patch, shown: END_SHOWN }];
  const start = pictures[0]?.at ?? 0;
  let since = start;
  for (const { at, pixels } of pictures) {
    const patch = patchBetween(last, pixels);
    if (patch === null) continue;
    if (at > start) frames.push({ ...(frames.pop() as Frame), shown: (at - since) / SLOWER });
    frames.push({ patch, shown: 0 });
    [last, since] = [pixels, at];
  }
  frames.pop(); // the end is there already, at the start
  return frames;
}

buildIfOld();
const server = await ServerProcess.start({ DEMO: 'true', LOG_LEVEL: 'info' });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
  await page.goto(`${server.url}/?pace=${SLOWER}`);
  await page.getByTestId('drawn-left').locator('dd').first().waitFor();
  const shots = await filmed(page);
  const still = shots.at(-1)?.png ?? Buffer.alloc(0);
  const { width, height } = readPng(still);
  const frames = framesOf(shots);
  const moving = writeMoving(width, height, frames);
  await writeFile('docs/demo.png', moving);
  await writeFile('docs/demo-still.png', still);
  process.stdout.write(
    `docs/demo.png: ${width} × ${height}, ${frames.length} frames, ${moving.length} bytes\n`,
  );
} finally {
  await browser.close();
  await server.dispose();
}
