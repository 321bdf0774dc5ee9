/** `telemed-sync nodes`: the servers that share the store, as the one on this machine knows them. */
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import { readConfig } from '../config.js';
import { answerOf } from './ask-server.js';
import { type Call, type Command, done, noMoreThan, type Outcome } from './command.js';

const answerSchema = z.object({
  nodes: z.array(
    z.object({
      address: z.string(),
      version: z.string(),
      silentFor: z.number(),
      users: z.number(),
      taken: z.number(),
    }),
  ),
});

type Nodes = z.output<typeof answerSchema>['nodes'];

const HEADER = ['ADDRESS', 'VERSION', 'HEARD OF', 'USERS', 'TAKEN OVER'];

async function run(call: Call): Promise<Outcome> {
  noMoreThan(0, call);
  const answer = await answerOf(readConfig(call.env), { method: 'GET', path: '/admin/api/nodes' });
  const { nodes } = answerSchema.parse(await json(answer));
  return done(nodes.length === 0 ? 'There is one server: STORE is not set.' : tableOf(nodes), { nodes });
}

function tableOf(nodes: Nodes): string {
  const rows = [
    HEADER,
    ...nodes.map(({ address, version, silentFor, users, taken }) => [
      address === '' ? '(alone)' : address,
      version === '' ? '?' : version,
      `${(silentFor / 1_000).toFixed(1)} s ago`,
      String(users),
      String(taken),
    ]),
  ];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

export const nodes: Command = {
  name: 'nodes',
  summary: 'lists the servers that share a PostgreSQL',
  usage: ['nodes'],
  details: () =>
    'It asks the server at PORT and HOST, with ADMIN_TOKEN. TAKEN OVER counts the users that a node has taken since its start from one that was stopped, killed or not reached.',
  run,
};
