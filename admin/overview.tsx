import type { Now } from './api.js';
import { Chart } from './chart.js';
import { ago, bytes, count, date, duration, number } from './format.js';
import { type Live, useTold } from './live.js';
import { Nodes } from './nodes.js';
import { Restored } from './restored.js';

const ms = (value: number): string => `${number(value)} ms`;

const WAYS = {
  live: ['online', 'Live'],
  asked: ['pending', 'Every 5 s'],
  away: ['connecting', 'Connecting'],
} as const;

export function OverviewPage({ live }: { readonly live: Live }) {
  const [now, points] = [useTold(live, 'now'), useTold(live, 'points')];
  const [state, text] = WAYS[useTold(live, 'way')];
  const all = now.connections.yjs + now.connections.json;
  return (
    <>
      <section className="headline" aria-label="State">
        <StateBadge now={now} />
        <span className="badge" data-state={state} data-testid="live">
          <span className="dot" aria-hidden="true" />
          {text}
        </span>
        <span className="quiet">
          Up for {duration(now.uptime * 1_000)},{' '}
          {now.auth === 'jwt' ? 'with tokens' : 'without tokens (AUTH=none)'}
        </span>
      </section>
      <Alarms now={now} />
      {now.restoredAt !== null && <Restored restoredAt={now.restoredAt} />}
      <dl className="tiles">
        <Tile name="Connections" value={number(all)}>
          {number(now.connections.yjs)} native, {number(now.connections.json)} JSON
        </Tile>
        <Tile name="Documents" value={number(now.documents.inMemory)}>
          in memory, {number(now.documents.asleep)} asleep
        </Tile>
        <Tile name="Memory" value={bytes(now.memory.process)}>
          heap {bytes(now.memory.heap)}
        </Tile>
        <Tile name="Store" value={now.store.state}>
          {count(now.store.commits.saved ?? 0, 'commit')}, {number(now.store.commits.failed ?? 0)} failed
        </Tile>
        <Tile name="Disk" value={now.disk === null ? '–' : bytes(now.disk.free)}>
          {now.disk === null ? 'does not tell' : `free of ${bytes(now.disk.size)}`}
        </Tile>
        <Tile name="Backup" value={now.lastBackup === null ? 'none' : duration(now.at - now.lastBackup)}>
          {now.lastBackup === null ? 'is known of' : `old: the last good one is of ${date(now.lastBackup)}`}
        </Tile>
        <Tile
          name="Certificate"
          value={now.certificate === null ? 'none' : duration(now.certificate.validTo - now.at)}
        >
          {now.certificate === null ? 'no TLS_CERT' : `good until ${date(now.certificate.validTo)}`}
        </Tile>
      </dl>
      <Nodes />
      <div className="charts">
        <Chart
          title="Connections"
          points={points}
          show={number}
          lines={[
            { name: 'native', of: ({ native }) => native },
            { name: 'JSON', of: ({ json }) => json },
          ]}
        />
        <Chart
          title="Edits a second"
          points={points}
          show={number}
          lines={[{ name: 'edits', of: ({ edits }) => edits }]}
        />
        <Chart
          title="Time to the disk"
          points={points}
          show={ms}
          lines={[
            { name: 'half', of: ({ commitHalf }) => commitHalf },
            { name: '99 of 100', of: ({ commitMost }) => commitMost },
          ]}
        />
        <Chart
          title="Delay of the event loop"
          points={points}
          show={ms}
          lines={[{ name: '99 of 100', of: ({ delay }) => delay }]}
        />
        <Chart
          title="Memory"
          points={points}
          show={bytes}
          unit={2 ** 20}
          lines={[
            { name: 'process', of: ({ memory }) => memory },
            { name: 'heap', of: ({ heap }) => heap },
          ]}
        />
        <Refused now={now} />
      </div>
    </>
  );
}

function StateBadge({ now }: { readonly now: Now }) {
  const isReady = now.hindrances.length === 0;
  const [state, text] = !isReady
    ? ['refused', 'Not ready']
    : now.overloaded
      ? ['pending', 'Overloaded']
      : ['online', 'Ready'];
  return (
    <span className="badge" data-state={state} data-testid="state">
      <span className="dot" aria-hidden="true" />
      {text}
    </span>
  );
}

const SOON = 14 * 86_400_000;
const FULL = 0.1;

/** What somebody should look after. */
function Alarms({ now }: { readonly now: Now }) {
  const alarms = [
    ...now.hindrances.map(({ message }) => message),
    ...now.warnings.map(({ message }) => message),
    ...(now.disk !== null && now.disk.free < now.disk.size * FULL ? ['The disk is nearly full.'] : []),
    ...(now.certificate !== null && now.certificate.validTo - now.at < SOON
      ? [`The certificate ends on ${date(now.certificate.validTo)}.`]
      : []),
  ];
  if (alarms.length + now.damaged.length === 0) return null;
  return (
    <ul className="panel alarms" data-testid="alarms">
      {alarms.map((text) => (
        <li key={text}>{text}</li>
      ))}
      {now.damaged.map(({ user, reason, at }) => (
        <li key={user}>
          The document of <a href={`#/users/${encodeURIComponent(user)}`}>{user}</a> is damaged: {reason}{' '}
          (found {ago(at)})
        </li>
      ))}
    </ul>
  );
}

interface TileProps {
  readonly name: string;
  readonly value: string;
  readonly children: React.ReactNode;
}

const Tile = ({ name, value, children }: TileProps) => (
  <div className="panel tile">
    <dt>{name}</dt>
    <dd className="value">{value}</dd>
    <dd className="quiet">{children}</dd>
  </div>
);

function Refused({ now }: { readonly now: Now }) {
  const refused = Object.entries(now.refused)
    .filter(([, times]) => times > 0)
    .sort(([, a], [, b]) => b - a);
  return (
    <section className="panel">
      <h3>Refused since the start</h3>
      {refused.length === 0 ? (
        <p className="quiet">Nothing.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Reason</th>
              <th scope="col">Times</th>
            </tr>
          </thead>
          <tbody>
            {refused.map(([code, times]) => (
              <tr key={code}>
                <td>
                  <code>{code}</code>
                </td>
                <td>{number(times)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p className="quiet">
        Documents checked in the daily round: {number(now.checked.whole ?? 0)} whole,{' '}
        {number(now.checked.damaged ?? 0)} damaged.
      </p>
    </section>
  );
}
