import { useEffect, useState } from 'react';
import { type DeviceList, pathOf } from './api.js';
import { type Live, useTold } from './live.js';
import { useAnswer } from './use-answer.js';
import { Visits } from './visits.js';

/** How long behind an answer the page asks again where the socket does not tell, in ms. */
const PAUSE = 5_000;

interface DevicesProps {
  readonly user: string;
  readonly live: Live;
}

/** What the socket tells, or what the page has asked for: whichever came last. */
function useDevices({ user, live }: DevicesProps) {
  const news = useTold(live, 'devices');
  const told = news?.user === user ? news : null;
  const { answer: asked, error, answered, again } = useAnswer<DeviceList>(pathOf(user, '/devices'));
  const [answer, setAnswer] = useState<DeviceList | null>(null);
  useEffect(() => live.showsDevices(user), [live, user]);
  useEffect(() => {
    if (asked !== null) setAnswer(asked);
  }, [asked]);
  useEffect(() => {
    if (told !== null) setAnswer(told);
  }, [told]);
  const isTold = told !== null;
  useEffect(() => {
    if (isTold || answered === null) return;
    const timer = setTimeout(again, PAUSE);
    return () => clearTimeout(timer);
  }, [isTold, answered, again]);
  return { answer, error: isTold ? null : error, again };
}

export function Devices({ user, live }: DevicesProps) {
  const { answer, error, again } = useDevices({ user, live });
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
      {answer !== null && (
        <Visits
          of="Device"
          answer={answer}
          rows={answer.devices.map(({ device, ...visit }) => ({
            key: JSON.stringify([device, visit.actor]),
            name: <a href={`#/devices/${encodeURIComponent(device)}`}>{device}</a>,
            visit,
          }))}
        />
      )}
      <p className="quiet">
        What a device wrote after it was here last, it alone knows: before you wipe one, let it connect once
        more, and look while it is connected. This is about one user: follow the name of a device to see whom
        else it was used for.
      </p>
      {answer !== null && answer.devices.length >= answer.limit && (
        <p className="quiet">At most {answer.limit} devices are remembered: there may have been more.</p>
      )}
    </section>
  );
}
