import { useEffect, useState } from 'react';
import type { Device, DeviceList } from './api.js';
import { ago, count, duration, number } from './format.js';
import { useAnswer } from './use-answer.js';

const PROTOCOLS = { yjs: 'native', json: 'JSON', http: 'HTTP' } as const;
/** How long behind an answer the page asks again, and for how long an answer counts as what is, in ms. */
const [PAUSE, FRESH] = [5_000, 15_000];
/** A device that was here for so long behind what it told has told it in this visit, in ms. */
const SAME_VISIT = 60_000;

export function Devices({ path }: { readonly path: string }) {
  const { answer, error, again } = useAnswer<DeviceList>(path);
  const age = useAge(answer);
  const isOld = age >= FRESH;
  useEffect(() => {
    if (answer === null) return;
    const timer = setTimeout(again, PAUSE);
    return () => clearTimeout(timer);
  }, [answer, again]);
  const now = (answer?.now ?? 0) + age;
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>Devices</h2>
        <button type="button" className="button small" onClick={again}>
          Look again
        </button>
      </div>
      {error !== null && <p role="alert">{error}</p>}
      {answer?.devices.length === 0 && <p className="quiet">None was here that named itself.</p>}
      {isOld && (
        <p role="status">This is what was known {duration(age)} ago. Look again before you wipe a device.</p>
      )}
      {answer !== null && answer.devices.length > 0 && (
        <div className={isOld ? 'wide old' : 'wide'}>
          <table data-testid="devices">
            <thead>
              <tr>
                <th scope="col">Device</th>
                <th scope="col">Not sent yet</th>
                <th scope="col">Behind by</th>
                <th scope="col">Last here</th>
                <th scope="col">Way</th>
                <th scope="col">App</th>
              </tr>
            </thead>
            <tbody>
              {answer.devices.map((device) => (
                <DeviceRow key={JSON.stringify([device.device, device.actor])} {...{ device, now, isOld }} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p className="quiet">
        What a device wrote after it was here last, it alone knows: before you wipe one, let it connect once
        more, and look while it is connected. This is about one user: a phone that is used for others may have
        changes of theirs.
      </p>
      {answer !== null && answer.devices.length >= answer.limit && (
        <p className="quiet">At most {answer.limit} devices are remembered: there may have been more.</p>
      )}
    </section>
  );
}

/** How old an answer is, in ms, by whichever clock of this machine says more: one may be set back, or sleep. */
function useAge(answer: DeviceList | null): number {
  const [age, setAge] = useState(0);
  useEffect(() => {
    setAge(0);
    if (answer === null) return;
    const [came, cameAt] = [performance.now(), Date.now()];
    const look = () => setAge(Math.max(performance.now() - came, Date.now() - cameAt));
    const timer = setInterval(look, 1_000);
    return () => clearInterval(timer);
  }, [answer]);
  return age;
}

interface Shown {
  readonly device: Device;
  /** By the server's clock. */
  readonly now: number;
  readonly isOld: boolean;
}

function DeviceRow({ device, now, isOld }: Shown) {
  const { connected, at, behind, via, app, actor } = device;
  return (
    <tr>
      <th scope="row">
        {device.device}
        {actor !== null && <span className="quiet"> in the hands of {actor}</span>}
      </th>
      <td data-label="Not sent yet">
        <Unsent device={device} now={now} isOld={isOld} />
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
      <td data-label="Way">{PROTOCOLS[via]}</td>
      <td data-label="App">{app ?? '–'}</td>
    </tr>
  );
}

/** Green is for what is known to be so now: nobody knows that of a device that is away. */
function Unsent({ device: { unsent, at }, now, isOld }: Shown) {
  if (unsent === null) return <span className="quiet">does not tell</span>;
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
