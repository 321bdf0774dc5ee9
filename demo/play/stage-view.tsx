import { type ReactNode, useSyncExternalStore } from 'react';
import type { SyncRecord } from '../../client/index.js';
import { Icon } from '../../web/icons.js';
import { inWords, titleOf } from '../appointments.js';
import { Flash } from '../editable.js';
import { TITLES } from '../pane.js';
import type { Scene } from './scenes.js';
import { type Arrived, type Dot, type Drawn, SIDES, type Side, type Stage } from './stage.js';

interface StageViewProps {
  readonly stage: Stage;
  readonly scene: Scene;
}

export function StageView({ stage, scene }: StageViewProps) {
  const drawing = useSyncExternalStore(stage.drawing.subscribe, () => stage.drawing.current);
  const dotsOf = (side: Side) => drawing.dots.filter((dot) => dot.side === side);
  return (
    <div className="stage-view" style={{ '--travel': `${stage.travel}ms` } as object}>
      {SIDES.map((side) => (
        <DeviceDrawn key={side} {...{ side, scene }} drawn={drawing[side]} />
      ))}
      {SIDES.map((side) => (
        <Wire key={side} side={side} isOn={drawing[side].on} dots={dotsOf(side)} />
      ))}
      <ServerDrawn arrived={drawing.server} />
    </div>
  );
}

interface DeviceDrawnProps {
  readonly side: Side;
  readonly scene: Scene;
  readonly drawn: Drawn;
}

function DeviceDrawn({ side, scene, drawn: { on, record } }: DeviceDrawnProps) {
  const name = scene.devices[side === 'left' ? 0 : 1];
  return (
    <div className="drawn" data-side={side} data-by={name} data-on={on} data-testid={`drawn-${side}`}>
      <p className="drawn-head">
        <Icon name={name === 'old-app' ? 'terminal' : name} size={16} />
        <strong>{TITLES[name]}</strong>
        <span className="drawn-network">{on ? 'online' : 'offline'}</span>
      </p>
      {record === null ? (
        <p className="drawn-none">No such record here</p>
      ) : (
        <>
          <p className="drawn-title">{titleOf(record)}</p>
          <dl>
            {scene.fields.map((field) => (
              <FieldDrawn key={field} {...{ field, record }} />
            ))}
          </dl>
        </>
      )}
    </div>
  );
}

function FieldDrawn({ field, record }: { readonly field: string; readonly record: SyncRecord }) {
  const value = record[field];
  const words = Array.isArray(value) ? value.map(inWords).join(', ') : inWords(value);
  return (
    <div>
      <dt>{field}</dt>
      <dd>
        <Flash value={words}>{words || '—'}</Flash>
      </dd>
    </div>
  );
}

interface WireProps {
  readonly side: Side;
  readonly isOn: boolean;
  readonly dots: readonly Dot[];
}

function Wire({ side, isOn, dots }: WireProps) {
  return (
    <div className="wire" data-side={side} data-on={isOn}>
      {dots.map(({ key, way, by, change }, index) => (
        <Pill key={`${key}-${way}`} by={by} className="mote" way={way} lane={index}>
          {by === 'old-app' && way !== 'down' ? `whole record, ${change.label}` : change.label}
        </Pill>
      ))}
    </div>
  );
}

function ServerDrawn({ arrived }: { readonly arrived: readonly Arrived[] }) {
  return (
    <div className="drawn-server" data-testid="drawn-server">
      <p className="drawn-head">
        <Icon name="server" size={16} />
        <strong>Server</strong>
      </p>
      {arrived.length === 0 && <p className="drawn-none">merges here</p>}
      {arrived.map(({ key, by, label }) => (
        <Pill key={key} by={by} className="arrived">
          {label}
        </Pill>
      ))}
    </div>
  );
}

interface PillProps {
  readonly by: Dot['by'];
  readonly className: string;
  readonly way?: Dot['way'];
  readonly lane?: number;
  readonly children: ReactNode;
}

function Pill({ by, className, way, lane, children }: PillProps) {
  return (
    <span
      className={`pill ${className}`}
      data-by={by}
      data-way={way}
      data-testid={way && `mote-${way}`}
      style={lane === undefined ? undefined : ({ '--lane': lane } as object)}
    >
      <span className="dot" />
      {children}
    </span>
  );
}
