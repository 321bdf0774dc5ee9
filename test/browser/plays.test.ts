import { expect } from 'vitest';
import { browserTest, startBrowser, useBrowser, useDemoServer } from '../support/browser.js';
import { Demo, sees, showsTexts } from '../support/browser-demo.js';

startBrowser();

interface Play {
  readonly scene: string;
  readonly caption: string;
  /** What both devices of the drawing have in the end. */
  readonly drawn: readonly string[];
}

const PLAYS: readonly Play[] = [
  { scene: 'edits', caption: 'Room from Phone, status from Tablet', drawn: ['7', 'arrived'] },
  { scene: 'old-record', caption: 'Notes from Phone, room from Old app', drawn: ['9', 'Needs a lift'] },
  { scene: 'lists', caption: 'Latex from Phone, Nuts from Tablet', drawn: [] },
  {
    scene: 'text',
    caption: '“with water” from Phone, “No grapefruit” from Tablet',
    drawn: ['Once a day in the morning, with water. No grapefruit.'],
  },
  { scene: 'reload', caption: 'Dose from Phone, repeats from Tablet', drawn: ['10 mg', '3'] },
  {
    scene: 'history',
    caption: 'Deleted by Tablet, brought back from the history',
    drawn: ['Post-op video call', 'booked'],
  },
];

async function useStage(pace: number) {
  const server = await useDemoServer();
  const newTab = await useBrowser({ reducedMotion: 'no-preference' });
  return { server, demo: await Demo.open(await newTab(), server, `pace=${pace}`) };
}

browserTest(
  '[D3 L4 H6 C4] each Play runs to its caption, and a reload without the server shows it',
  async () => {
    const { server, demo } = await useStage(0.1);
    const { page, phone, tablet, oldApp } = demo;
    await phone.shows('Anna Weber', { room: '4' });
    for (const { scene, caption, drawn } of PLAYS) {
      expect(await demo.play(scene), scene).toBe(caption);
      const left = await demo.drawn('left');
      await sees(() => demo.drawn('right'), left);
      if (drawn.length > 0) expect(left, scene).toEqual(drawn);
      else expect(left.join().split(', ').sort(), scene).toEqual(['Latex', 'Nuts', 'Penicillin']);
      await server.stop();
      await demo.forgetFiles();
      await demo.reload();
      await sees(() => phone.cards.count(), 5);
      await sees(() => page.getByTestId('drawn-left').locator('dd').count(), 2);
      await server.restart();
      for (const pane of [phone, tablet, oldApp]) await pane.connection('Online');
    }
    await phone.shows('Anna Weber', { room: '7', status: 'arrived' });
    await oldApp.shows('Tomás Rivera', { room: '9', notes: 'Needs a lift' });
    await demo.settledWith(5);
  },
);

browserTest('[C4 C7] a scene that is reloaded while the server is dead goes on when it is back', async () => {
  const { server, demo } = await useStage(0.6);
  const { page, phone, tablet, oldApp } = demo;
  await phone.shows('Anna Weber', { room: '4' });
  await page.getByTestId('play-reload').click();
  await sees(() => page.getByTestId('mote-waiting').count(), 2);
  await server.kill();
  await demo.forgetFiles();
  await page.getByText('The page is back').waitFor();
  await sees(() => page.getByTestId('mote-waiting').allTextContents(), ['dose 10 mg', 'repeats 3']);
  await page.getByText('Waiting for the server').waitFor();
  await server.restart();
  await showsTexts(page.getByTestId('merged'), 'Dose from Phone, repeats from Tablet');
  for (const pane of [phone, tablet, oldApp]) await pane.pending(0);
});

browserTest('an edit by hand is drawn, too: it waits, goes up, and comes down', async () => {
  const { demo } = await useStage(0.5);
  const { page, phone, tablet } = demo;
  await tablet.shows('Anna Weber', { room: '4' });
  await phone.switch('off');
  await phone.edit('Anna Weber', 'room', '11');
  await showsTexts(page.getByTestId('mote-waiting'), 'room 11');
  const [isUp, isDown] = [await demo.lookOut('mote-up'), await demo.lookOut('mote-down')];
  await phone.switch('on');
  await isUp();
  await isDown();
  await sees(() => demo.drawn('right'), ['11', 'booked']);
  await showsTexts(page.getByTestId('drawn-server').locator('.pill'), 'room 11');
});

browserTest('who wants nothing to move sees the same standing still, and the code of the scene', async () => {
  const { demo } = await useStage(3);
  const { page, phone, tablet } = demo;
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await tablet.shows('Anna Weber', { room: '4' });
  await phone.edit('Anna Weber', 'room', '11');
  const mote = page.getByTestId('mote-down');
  expect(await mote.evaluate((each) => getComputedStyle(each).animationName)).toBe('none');
  await page.getByText('This in your app').click();
  await page.getByText("import { useSyncedData } from 'telemed-sync/react';").waitFor();
});
