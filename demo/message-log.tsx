import { COLLECTION } from './appointments.js';
import type { LogEntry } from './json-device.js';

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** What the JSON device sent and got, the newest first. */
export function MessageLog({ log }: { readonly log: readonly LogEntry[] }) {
  return (
    <section className="log" aria-label="Messages of the old app">
      <h3>Messages</h3>
      {log.length === 0 ? (
        <p className="quiet">Nothing was sent or received yet.</p>
      ) : (
        <ol className="log-list" data-testid="log">
          {log.map((entry) => (
            <LogLine key={entry.number} entry={entry} />
          ))}
        </ol>
      )}
    </section>
  );
}

function LogLine({ entry: { direction, type, at, message } }: { readonly entry: LogEntry }) {
  return (
    <li>
      <details data-testid={`log-${direction}-${type}`}>
        <summary>
          <span className="log-direction" data-direction={direction}>
            {direction === 'in' ? '↓ in' : '↑ out'}
          </span>
          <span className="log-type">{type}</span>
          <span className="log-about">{aboutOf(message)}</span>
          <time className="log-time">{CLOCK.format(at)}</time>
        </summary>
        <pre>{JSON.stringify(message, null, 2)}</pre>
      </details>
    </li>
  );
}

/** A few words on what a message carries. */
function aboutOf(message: unknown): string {
  const {
    data = {},
    fromDevice,
    code,
  } = (message ?? {}) as {
    data?: { document?: { id?: unknown }; documentId?: unknown; [COLLECTION]?: unknown[] };
    fromDevice?: string;
    code?: string;
  };
  if (code !== undefined) return code;
  if (Array.isArray(data[COLLECTION])) return `${data[COLLECTION].length} records`;
  const id = String(data.document?.id ?? data.documentId ?? '');
  return fromDevice === undefined ? id : `${id} from ${fromDevice}`;
}
