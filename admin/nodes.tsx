import { useEffect } from 'react';
import type { NodeList } from './api.js';
import { duration, number } from './format.js';
import { useAnswer } from './use-answer.js';

/** How long behind an answer the page asks again, in ms. */
const PAUSE = 5_000;
/** A node of which nothing is heard for so long may lose its users. */
const SILENT = 10_000;

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
      <table>
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
              <td>
                <code>{address || 'alone'}</code>
                {here && ' (this one)'}
              </td>
              <td>{version || '–'}</td>
              <td>{duration(answer.now - startedAt)}</td>
              <td>{silentFor < SILENT ? 'lives' : `silent for ${duration(silentFor)}`}</td>
              <td>{number(users)}</td>
              <td>{number(taken)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
