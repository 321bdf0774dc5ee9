import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  browserConnectivity,
  noConnectivity,
  reactNativeConnectivity,
} from '../../../client/platform/connectivity.js';

afterEach(() => vi.unstubAllGlobals());

/** What React Native's modules do, as far as the client sees it: they can't run here. */
function nativeModules() {
  const states = new Set<(state: string) => void>();
  const networks = new Set<(state: { isConnected: boolean | null }) => void>();
  return {
    states,
    networks,
    AppState: {
      addEventListener(_: 'change', listener: (state: string) => void) {
        states.add(listener);
        return { remove: () => void states.delete(listener) };
      },
    },
    NetInfo: {
      addEventListener(listener: (state: { isConnected: boolean | null }) => void) {
        networks.add(listener);
        return () => void networks.delete(listener);
      },
    },
  };
}

describe('[C6] hints of a browser', () => {
  test('are its events, until the subscription ends', () => {
    const window = new EventTarget();
    const page = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
    vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
    vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window));
    vi.stubGlobal('document', page);
    const hints: string[] = [];
    const end = browserConnectivity().subscribe((hint) => hints.push(hint));
    const fire = (): void => {
      window.dispatchEvent(new Event('offline'));
      window.dispatchEvent(new Event('online'));
      page.dispatchEvent(new Event('visibilitychange'));
    };
    fire();
    expect(hints).toEqual(['offline', 'online']);
    page.visibilityState = 'visible';
    fire();
    expect(hints.slice(2)).toEqual(['offline', 'online', 'foreground']);
    end();
    fire();
    expect(hints).toHaveLength(5);
  });

  test('are none where there is no window', () => {
    const end = browserConnectivity().subscribe(() => {});
    expect(end).not.toThrow();
    expect(noConnectivity.subscribe(() => {})).not.toThrow();
  });
});

describe('[C6] hints of React Native', () => {
  test('tell the foreground and changes of the network, not its state at the start', () => {
    const modules = nativeModules();
    const hints: string[] = [];
    const end = reactNativeConnectivity(modules).subscribe((hint) => hints.push(hint));
    const network = (isConnected: boolean | null): void =>
      modules.networks.forEach((listener) => {
        listener({ isConnected });
      });
    for (const is of [true, null, false, false, null, true, true]) network(is);
    for (const state of ['inactive', 'background', 'active']) for (const tell of modules.states) tell(state);
    expect(hints).toEqual(['offline', 'online', 'foreground']);
    end();
    expect([modules.states.size, modules.networks.size]).toEqual([0, 0]);
  });

  test('do without NetInfo', () => {
    const { AppState, states } = nativeModules();
    const hints: string[] = [];
    const end = reactNativeConnectivity({ AppState }).subscribe((hint) => hints.push(hint));
    for (const tell of states) tell('active');
    end();
    expect(hints).toEqual(['foreground']);
  });
});
