import { useEffect } from 'react';
import type { DeviceList } from './api.js';
import { useAnswer } from './use-answer.js';
import { Visits } from './visits.js';

/** How long behind an answer the page asks again, in ms. */
const PAUSE = 5_000;

export function Devices({ path }: { readonly path: string }) {
  const { answer, error, again } = useAnswer<DeviceList>(path);
  useEffect(() => {
    if (answer === null) return;
    const timer = setTimeout(again, PAUSE);
    return () => clearTimeout(timer);
  }, [answer, again]);
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
