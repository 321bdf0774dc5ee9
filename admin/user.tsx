import { useState } from 'react';
import { ask, exportUrl, pathOf } from './api.js';
import { Confirm } from './confirm.js';
import { Devices } from './devices.js';
import type { Live } from './live.js';
import { RecordsPanel } from './records.js';

type Asked = 'export' | 'erase' | 'revoke' | null;

function download(url: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = '';
  link.click();
}

export function UserPage({ user, live }: { readonly user: string; readonly live: Live }) {
  const [asked, setAsked] = useState<Asked>(null);
  const [done, setDone] = useState<string | null>(null);
  const close = () => setAsked(null);
  return (
    <>
      <div className="panel-head user-head">
        <h2 data-testid="user-name">{user}</h2>
        <div className="actions">
          <button type="button" className="button" data-testid="export" onClick={() => setAsked('export')}>
            Export
          </button>
          {live.told.now.auth === 'jwt' && (
            <button type="button" className="button" onClick={() => setAsked('revoke')}>
              Take back tokens
            </button>
          )}
          <button
            type="button"
            className="button danger"
            data-testid="erase"
            onClick={() => setAsked('erase')}
          >
            Erase
          </button>
        </div>
      </div>
      {done !== null && <p role="status">{done}</p>}
      <Devices user={user} live={live} key={`devices ${done}`} />
      <RecordsPanel user={user} key={`records ${done}`} />
      {asked === 'export' && (
        <Confirm
          title={`Export all data of ${user}?`}
          action="Export"
          run={async () => download(exportUrl(user))}
          onClose={close}
        >
          <p>
            Records, history and devices, in one file that anybody can read who has it. The audit trail names
            the operator.
          </p>
        </Confirm>
      )}
      {asked === 'erase' && (
        <Confirm
          title={`Erase all data of ${user}?`}
          action="Erase"
          typed={user}
          run={async () => {
            await ask(pathOf(user), { method: 'DELETE' });
            setDone(`All data of ${user} is erased.`);
          }}
          onClose={close}
        >
          <p>
            Document, history and devices go, from the disk, too, and from devices when they connect. Nothing
            brings them back but a backup.
          </p>
        </Confirm>
      )}
      {asked === 'revoke' && (
        <Confirm
          title={`Take back all tokens of ${user}?`}
          action="Take them back"
          run={async () => {
            await ask('/revoke', { body: { user } });
            setDone(`All tokens of ${user} that were issued until now are taken back.`);
          }}
          onClose={close}
        >
          <p>Every device that uses one is sent away at once, and needs a new one.</p>
        </Confirm>
      )}
    </>
  );
}
