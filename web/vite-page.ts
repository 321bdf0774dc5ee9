/** How a page is built, and what the heads of all pages have. */
import react from '@vitejs/plugin-react';
import type { Plugin, UserConfig } from 'vite';

const HEAD = [
  { charset: 'utf-8' },
  { name: 'viewport', content: 'width=device-width, initial-scale=1' },
  { name: 'color-scheme', content: 'light dark' },
];

const head: Plugin = {
  name: 'head',
  transformIndexHtml: () => HEAD.map((attrs) => ({ tag: 'meta', attrs, injectTo: 'head-prepend' as const })),
};

/** @param name its folder, here and in what is built */
export const pageConfig = (name: string, more: UserConfig): UserConfig => ({
  ...more,
  plugins: [react(), head],
  build: {
    outDir: `../packages/server/dist/${name}`,
    emptyOutDir: true,
    target: 'es2022',
    // Browsers that know light-dark().
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
});
