/** The admin page of a server that shares its PostgreSQL with another one. */
import { expect, onTestFinished } from 'vitest';
import { browserTest, startBrowser, useDemoServer } from '../support/browser.js';
import { ADMIN_TOKEN, inspectAll, LOOKS, signedIn } from '../support/browser-admin.js';
import { sees } from '../support/browser-demo.js';
import { freePort } from '../support/free-port.js';
import { PostgresFixture, postgresUrl } from '../support/postgres.js';
import { SECRET } from '../support/postgres-nodes.js';
import { useJson } from '../support/use.js';

startBrowser();

browserTest(
  '[A0] [O3] the nodes, how many users each has, and users who are connected to another one',
  async (context) => {
    if (postgresUrl() === '') context.skip('there is no PostgreSQL');
    const fixture = await PostgresFixture.create();
    onTestFinished(() => fixture.remove());
    const startNode = async () => {
      const address = `127.0.0.1:${await freePort()}`;
      const cluster = { CLUSTER_ADDRESS: address, CLUSTER_SECRET: SECRET };
      const server = await useDemoServer({ STORE: fixture.schema.url, ADMIN_TOKEN, ...cluster });
      return { server, address };
    };
    const [own, other] = [await startNode(), await startNode()];
    const anna = await useJson(other.server, 'anna', 'phone');
    anna.update('notes', { id: 'n', text: 'of anna' });
    await anna.saved();
    await useJson(other.server, 'bert', 'tablet'); // writes nothing

    const page = await signedIn(own.server);
    const row = (address: string) =>
      page.getByTestId('nodes').locator('tbody tr').filter({ hasText: address }).locator('th, td');
    const told = async (address: string) => {
      const [name, version, , state, users, taken] = await row(address).allTextContents();
      return [name, /^\d+\.\d+\.\d+/.test(String(version)), state, users, taken];
    };
    await sees(() => told(own.address), [`${own.address} (this one)`, true, 'lives', '0', '0']);
    await sees(() => told(other.address), [other.address, true, 'lives', '2', '0']);
    await inspectAll(page, 'nodes');

    await page.getByRole('link', { name: 'Users' }).click();
    await page.getByRole('columnheader', { name: 'Connected here' }).waitFor();
    // Who has written nothing is listed by every node once the other one has written down who is there.
    await sees(async () => {
      await page.getByRole('button', { name: 'Search' }).click();
      return page.getByTestId('users').locator('tbody tr').allTextContents();
    }, [expect.stringMatching(/^anna.*–$/), expect.stringMatching(/^bert.*–$/)]);
    await page.getByRole('link', { name: 'bert' }).click();
    const tablet = page.getByTestId('devices').locator('tr').filter({ hasText: 'tablet' });
    await tablet.getByText('connected').waitFor();
    await page.goto(`${own.server.url}/admin#/devices/phone`);
    await page.getByText('Whether it is connected to another node').waitFor();
    const ofAnna = page.getByTestId('devices').getByRole('link', { name: 'anna' });
    await sees(async () => {
      await page.getByRole('button', { name: 'Look again' }).click();
      return ofAnna.count();
    }, 1);
    await ofAnna.click();
    const phone = page.getByTestId('devices').locator('tr').filter({ hasText: 'phone' });
    await phone.getByText('connected').waitFor();

    await page.goto(`${own.server.url}/admin#/`);
    await sees(async () => (await told(other.address))[2], 'lives');
    await other.server.kill();
    await fixture.schema.query("UPDATE node SET beat = now() - interval '11 s' WHERE address = $1", [
      other.address,
    ]);
    await sees(async () => /^silent for \d+ s$/.test(String((await told(other.address))[2])), true);
    expect((await fetch(`${own.server.url}/api/sync/anna`)).status).toBe(200);
    await sees(() => told(own.address), [`${own.address} (this one)`, true, 'lives', '1', '1']);
    await inspectAll(page, 'nodes-silent', [LOOKS[0], LOOKS[3]]);
  },
);
