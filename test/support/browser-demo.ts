/** The demo as somebody uses it who sees what it shows. */
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { STEP } from './browser.js';

type Field = 'patient' | 'time' | 'reason' | 'doctor' | 'room' | 'notes';

/** Waits until what can be seen is what is wanted. */
export async function sees<T>(look: () => Promise<T>, wanted: T): Promise<void> {
  await expect.poll(look, { timeout: STEP, interval: 100 }).toEqual(wanted);
}

export const showsTexts = (locator: Locator, ...texts: string[]): Promise<void> =>
  sees(() => locator.allTextContents(), texts);

/** What all three panes have. */
class Pane {
  readonly page: Page;
  readonly name: string;
  readonly root: Locator;

  constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
    this.root = page.getByTestId(name);
  }

  async switch(to: 'on' | 'off'): Promise<void> {
    const network = this.page.getByTestId(`${this.name}-network`);
    if ((await network.getAttribute('aria-checked')) !== String(to === 'on')) await network.click();
    await this.connection(to === 'on' ? 'Online' : 'Offline');
  }

  connection(words: string): Promise<void> {
    return showsTexts(this.page.getByTestId(`${this.name}-connection`), words);
  }

  pending(count: number): Promise<void> {
    return showsTexts(this.page.getByTestId(`${this.name}-pending`), `${count} pending`);
  }

  protected async type(cell: Locator, input: Locator, text: string): Promise<void> {
    await cell.click();
    await input.fill(text);
    await input.press('Enter');
  }
}

/** The phone or the tablet. */
export class DevicePane extends Pane {
  readonly cards = this.root.getByTestId('card');
  readonly allergies = this.root.getByTestId('allergies');
  readonly instructions = this.root.getByTestId('field-instructions');

  card(patient: string): Locator {
    return this.cards.filter({ hasText: patient });
  }

  async add(values: Partial<Record<Field, string>>): Promise<void> {
    await this.page.getByTestId(`${this.name}-add`).click();
    for (const [field, value] of Object.entries(values))
      await this.root.locator(`[name=${field}]`).fill(value);
    await this.root.getByRole('button', { name: 'Save' }).click();
    await this.card(values.patient ?? '').waitFor();
  }

  async edit(patient: string, field: Field, text: string): Promise<void> {
    const card = this.card(patient);
    await this.type(card.getByTestId(`field-${field}`), card.getByTestId(`field-${field}-input`), text);
    await this.shows(patient, { [field]: text });
  }

  async setStatus(patient: string, status: string): Promise<void> {
    await this.card(patient).getByTestId('status').selectOption(status);
    await this.shows(patient, { status });
  }

  async shows(patient: string, values: Partial<Record<Field | 'status', string>>): Promise<void> {
    const card = this.card(patient);
    await card.waitFor();
    for (const [field, value] of Object.entries(values)) {
      if (field === 'status') await sees(() => card.getByTestId('status').inputValue(), value);
      else await showsTexts(card.getByTestId(`field-${field}`), value);
    }
  }

  /** The ids of what is shown, sorted: one that is there twice is twice in it. */
  async ids(): Promise<string[]> {
    const ids = await this.cards.evaluateAll((cards) =>
      cards.map((card) => card.getAttribute('data-id') ?? ''),
    );
    return ids.sort();
  }
}

/** The old app, which shows and sends whole records as JSON. */
export class JsonPane extends Pane {
  readonly log = this.page.getByTestId('log');

  record(patient: string): Locator {
    return this.root.getByTestId('json-record').filter({ hasText: patient });
  }

  async open(patient: string): Promise<void> {
    const details = this.record(patient).locator('details');
    if ((await details.getAttribute('open')) === null) await details.locator('summary').click();
  }

  async edit(patient: string, field: string, text: string): Promise<void> {
    await this.open(patient);
    const record = this.record(patient);
    await this.type(record.getByTestId(`json-${field}`), record.getByTestId(`json-${field}-input`), text);
  }

  async shows(patient: string, values: Readonly<Record<string, string>>): Promise<void> {
    await this.record(patient).waitFor();
    await this.open(patient);
    for (const [field, value] of Object.entries(values)) {
      await showsTexts(this.record(patient).getByTestId(`json-${field}`), JSON.stringify(value));
    }
  }
}

/** The page in one tab. */
export class Demo {
  readonly page: Page;
  readonly phone: DevicePane;
  readonly tablet: DevicePane;
  readonly oldApp: JsonPane;
  readonly history: Locator;
  readonly entries: Locator;

  private constructor(page: Page) {
    this.page = page;
    this.phone = new DevicePane(page, 'phone');
    this.tablet = new DevicePane(page, 'tablet');
    this.oldApp = new JsonPane(page, 'old-app');
    this.history = page.getByTestId('history');
    this.entries = this.history.getByTestId('history-entry');
  }

  /** Resolves when all three devices are online, and a reload would not need the server. */
  static async open(page: Page, { url }: { readonly url: string }, query = 'user=visitor'): Promise<Demo> {
    const demo = new Demo(page);
    await page.goto(`${url}/?${query}`);
    for (const pane of [demo.phone, demo.tablet, demo.oldApp]) await pane.connection('Online');
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    return demo;
  }

  /** Plays a scene; resolves with what was merged from whom. */
  async play(scene: string): Promise<string | null> {
    await this.page.getByTestId(`play-${scene}`).click();
    await this.page.locator('[data-testid=stage][data-phase=playing]').waitFor();
    return this.page.getByTestId('merged').textContent();
  }

  /** What the drawing shows of a device, the newest value of each field. */
  drawn(side: 'left' | 'right'): Promise<string[]> {
    return this.page.getByTestId(`drawn-${side}`).locator('dd').allTextContents();
  }

  /** From now on looks out for something, however briefly it is shown; the result resolves once it was. */
  async lookOut(testId: string): Promise<() => Promise<void>> {
    const lookout = await this.page.evaluateHandle((id) => {
      const shown = new Promise<void>((resolve) => {
        const look = () => document.querySelector(`[data-testid=${id}]`) && resolve();
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
      });
      return { shown };
    }, testId);
    return () => lookout.evaluate(({ shown }) => shown);
  }

  /** Opens the page that does not know yet what its devices have stored, and waits for that. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.page.getByTestId('phone-add').waitFor({ state: 'attached' });
    await this.page.getByTestId('tablet-add').waitFor({ state: 'attached' });
  }

  /** From now on a reload has nothing but what the page itself has kept. */
  async forgetFiles(): Promise<void> {
    const session = await this.page.context().newCDPSession(this.page);
    await session.send('Network.enable');
    await session.send('Network.clearBrowserCache');
    await session.detach();
  }

  /** Each device shows these records, each once, and nothing is pending. */
  async settledWith(count: number): Promise<void> {
    for (const pane of [this.phone, this.tablet]) {
      await pane.pending(0);
      await sees(() => pane.cards.count(), count);
      const ids = await pane.ids();
      expect(ids).toEqual([...new Set(ids)]);
    }
  }
}
