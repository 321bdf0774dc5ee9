/// <reference types="vite/client" />
/** What each scene is in an app: the files of `in-your-app/`, which the compiler has checked, as an app would have them. */

const FILES = import.meta.glob<string>('./in-your-app/*', { query: '?raw', import: 'default', eager: true });

/** By the id of the scene. */
export const SNIPPETS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(FILES).map(([path, source]) => [sceneOf(path), asInAnApp(source)]),
);

function sceneOf(path: string): string {
  return path.replace(/^.*\//, '').replace(/\.tsx?$/, '');
}

function asInAnApp(source: string): string {
  return source
    .replace("'../../../client/index.js'", "'telemed-sync'")
    .replace("'../../../client/react/index.js'", "'telemed-sync/react'")
    .trim();
}
