import { act, type ReactNode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, expect, type MockInstance, vi } from 'vitest';
import { PATIENCE, Watched } from './wait.js';

const inAct = (yes: boolean): boolean => Reflect.set(globalThis, 'IS_REACT_ACT_ENVIRONMENT', yes);
inAct(true);

/** From now on until the test ends, React renders by itself, as it does in an app. */
export const renderByItself = (): void => void inAct(false);

const roots = new Set<Rendered>();

/** What is on the screen, and what may be done to it. */
export class Rendered {
  readonly container: HTMLElement;
  readonly #root: Root;

  constructor(container: HTMLElement, root: Root) {
    this.container = container;
    this.#root = root;
    roots.add(this);
  }

  get text(): string {
    return this.container.textContent ?? '';
  }

  render(node: ReactNode): Promise<void> {
    return act(async () => this.#root.render(node));
  }

  press(selector: string): void {
    const found = this.container.querySelector<HTMLElement>(selector);
    if (found === null) throw new Error(`${selector} is not there: ${this.text}`);
    found.click();
  }

  /** Looks again at each change of the page, until it says all of this. */
  says(...texts: readonly string[]): Promise<void> {
    return this.until(() => texts.every((text) => this.text.includes(text)));
  }

  async until(look: () => boolean): Promise<void> {
    const changes = new Watched();
    const observer = new MutationObserver(() => changes.changed());
    observer.observe(this.container, { childList: true, subtree: true, characterData: true });
    await changes.until(look, () => `the page still says: ${this.text}`, PATIENCE);
    observer.disconnect();
  }

  async unmount(): Promise<void> {
    roots.delete(this);
    await act(async () => this.#root.unmount());
  }
}

export async function render(node: ReactNode): Promise<Rendered> {
  const container = document.createElement('div');
  document.body.append(container);
  const rendered = new Rendered(container, createRoot(container));
  await rendered.render(node);
  return rendered;
}

/** React complains on the console; whatever it says there fails the test. */
export function cleanScreens(): void {
  let complaints: MockInstance<Console['error']> | undefined;
  beforeEach(() => {
    complaints = vi.spyOn(console, 'error');
  });
  afterEach(async () => {
    inAct(true);
    for (const rendered of [...roots]) await rendered.unmount();
    const said = complaints?.mock.calls;
    complaints?.mockRestore();
    expect(said).toEqual([]);
  });
}
