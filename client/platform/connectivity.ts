import type { Connectivity } from './platform.js';

type Hint = Parameters<Parameters<Connectivity['subscribe']>[0]>[0];

/** Knows nothing of the network. */
export const noConnectivity: Connectivity = { subscribe: () => () => {} };

/** The events of a browser, as far as there are any where it runs. */
export function browserConnectivity(): Connectivity {
  return {
    subscribe(listener) {
      const page = typeof document === 'undefined' ? undefined : document;
      const ends = [
        listen(globalThis, 'online', () => listener('online')),
        listen(globalThis, 'offline', () => listener('offline')),
        listen(page, 'visibilitychange', () => {
          if (page?.visibilityState === 'visible') listener('foreground');
        }),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

/** The part of React Native's `AppState` that is used. */
export interface AppStateLike {
  addEventListener(type: 'change', listener: (state: string) => void): { remove(): void };
}

/** The part of `@react-native-community/netinfo` that is used. */
export interface NetInfoLike {
  addEventListener(listener: (state: { readonly isConnected: boolean | null }) => void): () => void;
}

/** The events of React Native. Without `NetInfo` only the app's return to the foreground is known. */
export function reactNativeConnectivity(modules: {
  readonly AppState: AppStateLike;
  readonly NetInfo?: NetInfoLike | undefined;
}): Connectivity {
  return {
    subscribe(listener) {
      const { AppState, NetInfo } = modules;
      const app = AppState.addEventListener('change', (state) => {
        if (state === 'active') listener('foreground');
      });
      const endNetwork = NetInfo?.addEventListener(onlyChanges(listener));
      return () => {
        app.remove();
        endNetwork?.();
      };
    },
  };
}

/** NetInfo tells the state at once and then at each detail that changes. */
function onlyChanges(
  listener: (hint: Hint) => void,
): (state: { readonly isConnected: boolean | null }) => void {
  let wasConnected = true;
  return ({ isConnected }) => {
    if (isConnected === null || isConnected === wasConnected) return;
    wasConnected = isConnected;
    listener(isConnected ? 'online' : 'offline');
  };
}

type Target = Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>;

/** React Native has a `window` without events. */
function listen(target: Target | undefined, type: string, listener: () => void): () => void {
  if (typeof target?.addEventListener !== 'function') return () => {};
  target.addEventListener(type, listener);
  return () => target.removeEventListener?.(type, listener);
}
