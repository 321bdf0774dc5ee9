import type { Device } from './api.js';
import { ago, count, duration, number } from './format.js';
import { useAnswer } from './use-answer.js';

const PROTOCOLS = { yjs: 'native', json: 'JSON', http: 'HTTP' } as const;

export function Devices({ path }: { readonly path: string }) {
  const { answer, error, again } = useAnswer<{ readonly devices: readonly Device[] }>(path);
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
      {answer !== null && answer.devices.length > 0 && (
        <div className="wide">
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
                <DeviceRow key={JSON.stringify([device.device, device.actor])} device={device} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p className="quiet">
        What a device wrote after it was here last, it alone knows: before you wipe one, let it connect once
        more.
      </p>
    </section>
  );
}

function DeviceRow({ device }: { readonly device: Device }) {
  const { connected, at, behind, via, app, actor } = device;
  return (
    <tr>
      <th scope="row">
        {device.device}
        {actor !== null && <span className="quiet"> in the hands of {actor}</span>}
      </th>
      <td data-label="Not sent yet">
        <Unsent device={device} />
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
          ago(at)
        )}
      </td>
      <td data-label="Way">{PROTOCOLS[via]}</td>
      <td data-label="App">{app ?? '–'}</td>
    </tr>
  );
}

function Unsent({ device: { unsent } }: { readonly device: Device }) {
  if (unsent === null) return <span className="quiet">does not tell</span>;
  const told = `told ${ago(unsent.toldAt)}`;
  if (unsent.count === 0) return <span className="safe">nothing ({told})</span>;
  const since = unsent.since === null ? '' : `, the oldest for ${duration(Date.now() - unsent.since)}`;
  return (
    <strong className="unsafe">
      {number(unsent.count)} {unsent.count === 1 ? 'change' : 'changes'}
      {since} ({told})
    </strong>
  );
}
