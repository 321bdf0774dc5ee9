/** Writes docs/reference/API.md: the declarations of the client, as they are in the code, with their comments. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PAGE = 'docs/reference/API.md';

const CHAPTERS: readonly (readonly [title: string, file: string, names: readonly string[]])[] = [
  ['The client', 'client/api/api.ts', ['SyncClient', 'SyncOptions', 'SavedConfig', 'CollectionView']],
  [
    'What calls take and give',
    'client/api/api.ts',
    [
      'SyncRecord',
      'NewRecord',
      'Changes',
      'UpdateOptions',
      'ChangeEvent',
      'LegacySyncStatus',
      'RefusedExport',
    ],
  ],
  ['The status', 'client/status.ts', ['SyncStatus', 'ConnectionState', 'Observable']],
  ['Refused changes', 'client/refused/refused-changes.ts', ['RefusedChange']],
  ['Presence', 'client/presence/presence.ts', ['Presence', 'PresenceEntry']],
  ['Types of an app', 'client/api/collections.ts', ['SyncedCollections']],
  [
    'Hooks: a collection',
    'client/react/use-synced-data.ts',
    ['useSyncedData', 'SyncedData', 'SyncedDataOptions'],
  ],
  ['Hooks: what of it', 'client/react/query.ts', ['Query', 'Where', 'OrderBy']],
  ['Hooks: a form', 'client/react/use-draft.ts', ['useDraft', 'Draft']],
  ['Hooks: a record', 'client/react/use-record.ts', ['useRecord']],
  ['Hooks: the status', 'client/react/use-sync-status.ts', ['useSyncStatus']],
  ['Hooks: presence', 'client/react/use-presence.ts', ['usePresence', 'PresenceView']],
  ['Hooks: which client', 'client/react/client-context.ts', ['SyncProvider', 'useSyncClient']],
  ['Node', 'client/node.ts', ['NodeClientOptions']],
];

/** `export interface NAME … }`, `export type NAME …;` or each signature of a function, with the comment before it. */
function declarationOf(file: string, name: string): string {
  const source = readFileSync(file, 'utf8');
  const comment = String.raw`(?:/\*\*(?:(?!\*/)[\s\S])*\*/\n)?`;
  const shapes = [
    String.raw`${comment}export interface ${name}\b[^{]*(?:\{\}|\{\n[\s\S]*?\n\})`,
    String.raw`${comment}export type ${name}\b[\s\S]*?;(?=\n(?:\n|export|/\*\*|$))`,
    String.raw`${comment}export function ${name}\b[\s\S]*?(?:;(?=\n)|(?= \{\n))`,
  ];
  const found = shapes.flatMap((shape) => source.match(new RegExp(shape, 'g')) ?? []);
  const signatures = found.filter((text) => text.endsWith(';'));
  if (found.length === 0) throw new Error(`${file} has no ${name}`);
  // The last of several signatures is that of the body, which nobody sees.
  return (found.length > 1 && signatures.length > 0 ? signatures : found)
    .join('\n')
    .replaceAll('export ', '');
}

export function apiReference(): string {
  const chapters = CHAPTERS.map(
    ([title, file, names]) =>
      `## ${title}\n\n\`\`\`ts\n${names.map((name) => declarationOf(file, name)).join('\n\n')}\n\`\`\`\n`,
  );
  return `# API of the client

The declarations as they are in the code; \`npm run docs:api\` writes this page. What calls do, and when they reject, is in [CLIENT.md](CLIENT.md).

${chapters.join('\n')}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, apiReference());
