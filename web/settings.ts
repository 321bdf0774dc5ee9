import { useSyncExternalStore } from 'react';

/** What this page remembers across reloads. `session`: of this tab alone. */
export type Place = 'browser' | 'session';

const places: Readonly<Record<Place, () => Storage>> = {
  browser: () => localStorage,
  session: () => sessionStorage,
};
const PREFIX = 'telemed-sync-demo:';
const listeners = new Set<() => void>();
/** Where storage is switched off, settings last as long as the page. */
const memory = new Map<string, string>();

export function readSetting(name: string, place: Place = 'browser'): string | null {
  try {
    return places[place]().getItem(PREFIX + name);
  } catch {
    return memory.get(name) ?? null;
  }
}

export function writeSetting(name: string, value: string, place: Place = 'browser'): void {
  try {
    places[place]().setItem(PREFIX + name, value);
  } catch {
    memory.set(name, value);
  }
  for (const listener of listeners) listener();
}

/** Calls when a setting changes, in this tab or another one. Returns what ends it. */
export function onSettings(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener('storage', listener);
  return () => {
    listeners.delete(listener);
    removeEventListener('storage', listener);
  };
}

export function useSetting(name: string, place: Place = 'browser'): string | null {
  return useSyncExternalStore(onSettings, () => readSetting(name, place));
}
