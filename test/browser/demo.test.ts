import { expect } from 'vitest';
import { browserTest, startBrowser, useBrowser, useDemoServer } from '../support/browser.js';
import { Demo, sees, showsTexts } from '../support/browser-demo.js';

startBrowser();

async function useDemo(query?: string) {
  const server = await useDemoServer();
  const newTab = await useBrowser();
  return { server, demo: await Demo.open(await newTab(), server, query) };
}

const ROSA = { patient: 'Rosa Klein', reason: 'Eye test', doctor: 'Dr. Haddad', room: '4' };

browserTest('[C3 C4 D3] both devices edit offline, reload without the server, and merge', async () => {
  const { server, demo } = await useDemo();
  const { page, phone, tablet, oldApp } = demo;
  await phone.add(ROSA);
  await tablet.shows('Rosa Klein', { reason: 'Eye test', room: '4', status: 'booked' });
  await oldApp.shows('Rosa Klein', { room: '4' });
  await demo.settledWith(1);

  for (const pane of [phone, tablet, oldApp]) await pane.switch('off');
  await phone.edit('Rosa Klein', 'room', '7');
  await phone.edit('Rosa Klein', 'notes', 'Brings her glasses');
  await tablet.setStatus('Rosa Klein', 'arrived');
  await tablet.add({ patient: 'Omar Nassar' });

  const asLeft = async () => {
    await phone.pending(2);
    await tablet.pending(2);
    await phone.shows('Rosa Klein', { room: '7', notes: 'Brings her glasses', status: 'booked' });
    await tablet.shows('Rosa Klein', { room: '4', notes: 'Add a note', status: 'arrived' });
    await oldApp.shows('Rosa Klein', { room: '4', status: 'booked', notes: '' });
    expect([await phone.cards.count(), await tablet.cards.count()]).toEqual([1, 2]);
    for (const pane of [phone, tablet, oldApp]) await pane.connection('Offline');
  };
  await asLeft();
  await demo.reload();
  await asLeft();
  await server.stop();
  await demo.forgetFiles();
  await demo.reload();
  await asLeft();

  await server.restart();
  for (const pane of [oldApp, phone, tablet]) await pane.switch('on');
  const merged = { room: '7', notes: 'Brings her glasses', status: 'arrived' };
  for (const pane of [phone, tablet, oldApp]) await pane.shows('Rosa Klein', merged);
  await phone.shows('Omar Nassar', { status: 'booked' });
  await oldApp.shows('Omar Nassar', { status: 'booked' });
  await demo.settledWith(2);

  const updates = oldApp.log.getByTestId('log-in-DATA_UPDATE');
  const ofRosa = updates.filter({ hasText: 'Brings her glasses' }).filter({ hasText: '"arrived"' });
  // The newest stands first, and what came close to another message is sent once more: the last one stays where it is.
  await ofRosa.last().locator('summary').click();
  await ofRosa.last().locator('pre').waitFor();
  await sees(() => oldApp.log.getByTestId('log-in-CONNECTION_CONFIRMED').count(), 1);
  expect(await page.getByRole('alert').count()).toBe(0);
});

browserTest('[L2 L5 L6] an old app that was away sends a stale record, and undoes nothing', async () => {
  const { demo } = await useDemo();
  const { phone, tablet, oldApp } = demo;
  await phone.add(ROSA);
  await oldApp.shows('Rosa Klein', { room: '4' });
  await oldApp.switch('off');
  await phone.edit('Rosa Klein', 'notes', 'Asks for a later time');
  await tablet.edit('Rosa Klein', 'doctor', 'Dr. Okafor');
  await demo.settledWith(1);
  await oldApp.edit('Rosa Klein', 'room', '9');
  await oldApp.shows('Rosa Klein', { room: '9', notes: '', doctor: 'Dr. Haddad' });
  await oldApp.pending(1);

  await oldApp.switch('on');
  const merged = { room: '9', notes: 'Asks for a later time', doctor: 'Dr. Okafor' };
  for (const pane of [phone, tablet, oldApp]) await pane.shows('Rosa Klein', merged);
  await oldApp.pending(0);
  await oldApp.log.getByTestId('log-out-DATA_UPDATE').filter({ hasText: '"notes": ""' }).waitFor();
  await oldApp.log.getByTestId('log-in-ACK').waitFor();
});

browserTest('[H5 H6] the history tells who changed what, and brings back what was', async () => {
  const { demo } = await useDemo();
  const { page, phone, tablet, oldApp, history, entries } = demo;
  await phone.add(ROSA);
  await tablet.shows('Rosa Klein', { room: '4' });
  await tablet.edit('Rosa Klein', 'room', '5');
  await oldApp.shows('Rosa Klein', { room: '5' });
  await oldApp.edit('Rosa Klein', 'room', '6');
  await phone.shows('Rosa Klein', { room: '6' });

  await phone.card('Rosa Klein').getByTestId('open-history').click();
  const heads = history.locator('.entry-head');
  await showsTexts(heads, 'Old app changedjson', 'Tablet changedyjs', 'Phone created ityjs');
  await showsTexts(history.locator('.differences dd'), '5 → 6', '4 → 5');
  await entries.last().getByTestId('restore').click();
  for (const pane of [phone, tablet, oldApp]) await pane.shows('Rosa Klein', { room: '4' });
  await showsTexts(heads.first(), 'History panel restored itrestore');
  await page.keyboard.press('Escape');

  await tablet.card('Rosa Klein').getByTestId('delete').click();
  await sees(() => phone.cards.count(), 0);
  await page.getByTestId('tablet-deleted').getByRole('button', { name: 'bring it back' }).click();
  await entries.first().getByRole('button', { name: 'Bring it back' }).click();
  for (const pane of [phone, tablet, oldApp]) await pane.shows('Rosa Klein', { room: '4' });
  await demo.settledWith(1);
});

browserTest('[N6] a card says which other device has it before it', async () => {
  const { demo } = await useDemo();
  const { phone, tablet } = demo;
  await phone.add(ROSA);
  await phone.add({ patient: 'Omar Nassar' });
  await tablet.card('Omar Nassar').waitFor();
  const viewers = demo.page.getByTestId('viewers');
  await tablet.card('Rosa Klein').getByTestId('field-room').focus();
  await showsTexts(viewers, ' Tablet here');
  await phone.card('Rosa Klein').getByTestId('viewers').waitFor();
  await tablet.card('Omar Nassar').getByTestId('field-room').focus();
  await phone.card('Omar Nassar').getByTestId('viewers').waitFor();
  await showsTexts(viewers, ' Tablet here');
  await phone.card('Omar Nassar').getByTestId('field-room').focus();
  await tablet.card('Omar Nassar').getByTestId('viewers').waitFor();
  await showsTexts(viewers, ' Phone here');
  await demo.page.getByTestId('theme').focus();
  await sees(() => viewers.count(), 0);
});

browserTest(
  '[C3 D3] a first visit finds a day of a practice, and what was deleted of it stays deleted',
  async () => {
    const { demo } = await useDemo('');
    const { page, phone, tablet, oldApp } = demo;
    await tablet.shows('Anna Weber', { room: '4' });
    await demo.settledWith(5);
    await sees(() => oldApp.root.getByTestId('json-record').count(), 5);
    await tablet.card('Mei-Ling Chen').getByTestId('delete').click();
    await demo.settledWith(4);
    await demo.reload();
    await phone.connection('Online');
    await demo.settledWith(4);

    for (const pane of [phone, tablet]) await pane.switch('off');
    await phone.allergies.getByRole('textbox').fill('Latex');
    await phone.allergies.getByRole('textbox').press('Enter');
    await tablet.allergies.getByRole('button', { name: 'Remove Penicillin' }).click();
    await phone.instructions.fill('Once a day in the morning, with water.');
    await tablet.instructions.fill('Only once a day in the morning.');
    for (const pane of [phone, tablet]) await pane.switch('on');
    for (const pane of [phone, tablet]) {
      await showsTexts(pane.allergies.getByRole('listitem'), 'Latex');
      await sees(() => pane.instructions.inputValue(), 'Only once a day in the morning, with water.');
    }
    expect(await page.getByRole('alert').count()).toBe(0);
  },
);
