const SCENARIOS = [
  [
    'Two edits meet',
    'Switch the phone and the tablet offline. Change the room on one, the status on the other. Switch both on: both edits are there.',
  ],
  [
    'An old record undoes nothing',
    'Switch the old app offline and write a note on the phone. Now change the room in the old app and switch it on: it sends its whole old record, and the note stays.',
  ],
  [
    'Back from the history',
    'Delete an appointment, then open its history. Bring it back, or restore any version before.',
  ],
  [
    'Offline through a reload',
    'Switch everything off, edit, and reload this page. Stop the server, if you like. All edits wait until the network is back.',
  ],
] as const;

export function Scenarios({ open }: { readonly open: boolean }) {
  return (
    <details className="scenarios" open={open}>
      <summary>Try it</summary>
      <ol>
        {SCENARIOS.map(([title, text]) => (
          <li key={title}>
            <h2>{title}</h2>
            <p>{text}</p>
          </li>
        ))}
      </ol>
    </details>
  );
}
