import { useEffect, useSyncExternalStore } from 'react';
import { useSetting, writeSetting } from './settings.js';

export type Theme = 'light' | 'dark';
const DARK = matchMedia('(prefers-color-scheme: dark)');

/** The theme of the system, until the visitor chooses another. */
export function useTheme(): { readonly theme: Theme; readonly toggle: () => void } {
  const chosen = useSetting('theme');
  const systemIsDark = useMedia(DARK);
  const theme = chosen === 'light' || chosen === 'dark' ? chosen : systemIsDark ? 'dark' : 'light';
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return { theme, toggle: () => writeSetting('theme', theme === 'dark' ? 'light' : 'dark') };
}

export function useMedia(query: MediaQueryList): boolean {
  return useSyncExternalStore(
    (listener) => {
      query.addEventListener('change', listener);
      return () => query.removeEventListener('change', listener);
    },
    () => query.matches,
  );
}
