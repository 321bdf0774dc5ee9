import { useCallback, useRef, useState } from 'react';
import { useMedia } from '../web/theme.js';
import type { Actors } from './actors.js';
import type { Device } from './device.js';
import { DevicePane } from './device-pane.js';
import { HistoryPanel } from './history-panel.js';
import type { JsonDevice } from './json-device.js';
import { JsonPane } from './json-pane.js';
import { PaneTabs } from './pane-tabs.js';
import type { Player } from './play/player.js';
import { Theatre } from './play/theatre.js';
import { addSamples } from './samples.js';
import { TopBar } from './top-bar.js';

interface AppProps {
  readonly devices: readonly [Device, Device];
  readonly oldApp: JsonDevice;
  readonly actors: Actors;
  readonly player: Player;
}

/** Null: closed; an id of null: the history of all records. */
type OpenHistory = { readonly id: string | null } | null;

/** Where three panes have no room beside each other. */
const NARROW = matchMedia('(max-width: 759px)');

export function App({ devices, oldApp, actors, player }: AppProps) {
  const [history, setHistory] = useState<OpenHistory>(null);
  const opener = useRef<Element>(null);
  const narrow = useMedia(NARROW);
  const open = (id: string | null) => {
    if (history === null) opener.current = document.activeElement;
    setHistory({ id });
  };
  const close = () => {
    setHistory(null);
    if (opener.current instanceof HTMLElement) opener.current.focus();
  };
  const onChange = useCallback((call: () => void) => onAnyChange(actors, call), [actors]);
  const shared = { selected: history?.id ?? null, onHistory: open };
  return (
    <div className="page" data-history={history !== null || undefined}>
      <TopBar onSample={() => void addSamples(devices[0].client)} onHistory={() => open(null)} />
      <Theatre player={player} />
      <div className="stage">
        <PaneTabs narrow={narrow} actors={actors}>
          {devices.map((device) => (
            <DevicePane
              key={device.name}
              {...{ device, ...shared }}
              onSample={() => void addSamples(device.client)}
            />
          ))}
          <JsonPane device={oldApp} {...shared} />
        </PaneTabs>
        {history !== null && (
          <HistoryPanel
            id={history.id}
            onSelect={(id) => setHistory({ id })}
            onClose={close}
            onChange={onChange}
          />
        )}
      </div>
    </div>
  );
}

/** Calls whenever the server may have something new in its history. */
function onAnyChange(actors: Actors, call: () => void): () => void {
  const stops = Object.values(actors).map((actor) => actor.subscribe(call));
  return () => {
    for (const stop of stops) stop();
  };
}
