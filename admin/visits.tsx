/** Devices as they were there for a user: of one user, or of one device. */
import { type ReactNode, useEffect, useState } from 'react';
import type { Visit } from './api.js';
import { ago, count, duration, number } from './format.js';

const PROTOCOLS = { yjs: 'native', json: 'JSON', http: 'HTTP' } as const;
/** For how long an answer counts as what is, in ms. */
const FRESH = 15_000;
/** A device that was here for so long behind what it told has told it in this visit, in ms. */
const SAME_VISIT = 60_000;

export interface Row {
  readonly key: string;
  readonly name: ReactNode;
  readonly visit: Omit<Visit, 'user'>;
}

interface VisitsProps {
  /** What is in the first column. */
  readonly of: string;
  /** What the server answered; its clock says when. */
  readonly answer: { readonly now: number; readonly restoredAt: number | null };
  readonly rows: readonly Row[];
}

export function Visits({ of, answer, rows }: VisitsProps) {
  const age = useAge(answer);
  const isOld = age >= FRESH;
  const now = answer.now + age;
  const { restoredAt } = answer;
  return (
    <>
      {isOld && (
        <p role="status">This is what was known {duration(age)} ago. Look again before you wipe a device.</p>
      )}
      {rows.length > 0 && (
        <div className={isOld ? 'wide old' : 'wide'}>
          <table data-testid="devices">
            <thead>
              <tr>
                <th scope="col">{of}</th>
                <th scope="col">Not sent yet</th>
                <th scope="col">Behind by</th>
                <th scope="col">Last here</th>
                {restoredAt !== null && <th scope="col">Since the restore</th>}
                <th scope="col">Way</th>
                <th scope="col">App</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, ...row }) => (
                <VisitRow key={key} {...{ ...row, now, isOld, restoredAt }} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

/** How old an answer is, in ms, by whichever clock of this machine says more: one may be set back, or sleep. */
function useAge(answer: object): number {
  const [age, setAge] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another answer begins anew
  useEffect(() => {
    setAge(0);
    const [came, cameAt] = [performance.now(), Date.now()];
    const look = () => setAge(Math.max(performance.now() - came, Date.now() - cameAt));
    const timer = setInterval(look, 1_000);
    return () => clearInterval(timer);
  }, [answer]);
  return age;
}

interface Shown {
  readonly visit: Row['visit'];
  /** By the server's clock. */
  readonly now: number;
  readonly isOld: boolean;
}

interface VisitRowProps extends Shown, Pick<Row, 'name'> {
  readonly restoredAt: number | null;
}

function VisitRow({ name, visit, now, isOld, restoredAt }: VisitRowProps) {
  const { connected, at, behind, via, app, actor } = visit;
  return (
    <tr>
      <th scope="row">
        {name}
        {actor !== null && <span className="quiet"> in the hands of {actor}</span>}
      </th>
      <td data-label="Not sent yet">
        <Unsent visit={visit} now={now} isOld={isOld} />
      </td>
      <td data-label="Behind by">
        {behind === null ? 'not known' : behind === 0 ? 'nothing' : count(behind, 'change')}
      </td>
      <td data-label="Last here">
        {connected ? (
          <span className="badge" data-state="online">
            <span className="dot" aria-hidden="true" />
            connected
          </span>
        ) : (
          ago(at, now)
        )}
      </td>
      {restoredAt !== null && (
        <td data-label="Since the restore">
          {at > restoredAt ? 'has been back' : <strong>not back yet</strong>}
        </td>
      )}
      <td data-label="Way">{PROTOCOLS[via]}</td>
      <td data-label="App">{app ?? '–'}</td>
    </tr>
  );
}

/** Green is for what is known to be so now: nobody knows that of a device that is away. */
function Unsent({ visit: { unsent, at, sentAt }, now, isOld }: Shown) {
  if (unsent === null) {
    const sent = sentAt === null ? '' : `; all that it sent ${ago(sentAt, now)} is saved`;
    return <span className="quiet">not known: its app does not tell{sent}</span>;
  }
  const told = ago(unsent.toldAt, now);
  if (unsent.count > 0) {
    const since = unsent.since === null ? '' : `, the oldest for ${duration(now - unsent.since)}`;
    return (
      <strong className="unsafe">
        {number(unsent.count)} {unsent.count === 1 ? 'change' : 'changes'}
        {since} (told {told})
      </strong>
    );
  }
  if (unsent.current && !isOld) return <span className="safe">nothing</span>;
  if (at - unsent.until > SAME_VISIT)
    return <span>not known: it had nothing {told}, and was here since</span>;
  return <span>nothing when it was heard of, {ago(unsent.until, now)}</span>;
}
