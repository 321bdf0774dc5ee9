import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { parseSync } from 'vite';

export const read = (file: string): string => readFileSync(file, 'utf8');

/** The TypeScript files below a folder, from the top of the project; none if there is no such folder. */
export function filesBelow(folder: string): string[] {
  return readdirSync('.', { withFileTypes: true }).some((entry) => entry.name === folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
        .filter((name) => /\.c?tsx?$/.test(name) && !name.includes('node_modules/'))
        .sort()
    : [];
}

/** Without comments, which may speak of anything. */
export const codeOf = (source: string): string =>
  source.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/(^|\s)\/\/.*$/gm, '');

export interface Import {
  /** A file of ours from the top of the project, or a package. */
  readonly target: string;
  readonly typeOnly: boolean;
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?[^;'"]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]/gm;

/** What a file imports; `./names.js` in shared/records.ts is shared/names.ts. */
export function importsOf(file: string, source: string): Import[] {
  return [...codeOf(source).matchAll(IMPORT)].map(([, type, from, effect, lazy]) => {
    const path = from ?? effect ?? lazy ?? '';
    const target = path.startsWith('.')
      ? posix.join(posix.dirname(file), path).replace(/\.js$/, '.ts')
      : path;
    return { target, typeOnly: type !== undefined };
  });
}

/** How many lines each function with a body has, from its first to its last. */
export function functionLengths(file: string, source: string): number[] {
  const lengths: number[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if (isFunctionBody(node)) lengths.push(source.slice(node.start, node.end).split('\n').length);
    for (const child of Object.values(node)) visit(child);
  };
  visit(parseSync(file, source).program);
  return lengths;
}

type Span = { start: number; end: number };

function isFunctionBody(node: object): node is Span {
  const { type, body } = node as { type?: unknown; body?: { type?: unknown } | null };
  return typeof type === 'string' && type.includes('Function') && body?.type === 'BlockStatement';
}
