import { useEffect } from 'react';
import type { NodeList } from './api.js';
import { duration, number } from './format.js';
import { useAnswer } from './use-answer.js';

/** How long behind an answer the page asks again, in ms. */
const PAUSE = 5_000;
/** A node of which nothing is heard for so long may lose its users. */
const SILENT = 10_000;

/** Whether others share the store with this server, which knows of its own connections alone. */
export const useHasNodes = (): boolean => (useAnswer<NodeList>('/nodes').answer?.nodes.length ?? 0) > 1;

/** The servers that share a store; nothing where there is but one. */
export function Nodes() {
  const { answer, error, answered, again } = useAnswer<NodeList>('/nodes');
  const isAlone = answer?.nodes.length === 0;
  useEffect(() => {
    if (answered === null || isAlone) return;
    const timer = setTimeout(again, PAUSE);
    return () => clearTimeout(timer);
  }, [answered, isAlone, again]);
  if (error !== null) return <p role="alert">The nodes are not known: {error}</p>;
  if (answer === null || answer.nodes.length === 0) return null;
  return (
    <section className="panel">
      <h3>Nodes</h3>
      <div className="wide">
        <table data-testid="nodes">
          <thead>
            <tr>
              <th scope="col">Address</th>
              <th scope="col">Version</th>
              <th scope="col">Up for</th>
              <th scope="col">State</th>
              <th scope="col">Users</th>
              <th scope="col">Taken over</th>
            </tr>
          </thead>
          <tbody>
            {answer.nodes.map(({ node, address, version, startedAt, silentFor, users, taken, here }) => (
              <tr key={node}>
                <th scope="row">
                  <code>{address || 'alone'}</code>
                  {here && ' (this one)'}
                </th>
                <td data-label="Version">{version || '–'}</td>
                <td data-label="Up for">{duration(answer.now - startedAt)}</td>
                <td data-label="State">
                  {silentFor < SILENT ? 'lives' : `silent for ${duration(silentFor)}`}
                </td>
                <td data-label="Users">{number(users)}</td>
                <td data-label="Taken over">{number(taken)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
