import { type KeyboardEvent, type ReactNode, useRef, useState, useSyncExternalStore } from 'react';
import type { Actor, Actors } from './actors.js';
import type { PaneName } from './pane.js';

interface PaneTabsProps {
  readonly narrow: boolean;
  readonly actors: Actors;
  /** One for each tab. */
  readonly children: ReactNode;
}

const TABS: readonly PaneName[] = ['phone', 'tablet', 'old-app'];
const STEPS: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowLeft: -1 };

/** The panes beside each other or, on a narrow screen, one at a time. All of them live on behind the tabs. */
export function PaneTabs({ narrow, actors, children }: PaneTabsProps) {
  const [current, setCurrent] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const panes = [children].flat(2);
  const onKeyDown = ({ key }: KeyboardEvent) => {
    const next = (current + (STEPS[key] ?? 0) + TABS.length) % TABS.length;
    setCurrent(next);
    list.current?.querySelectorAll('button')[next]?.focus();
  };
  return (
    <main className="panes">
      {narrow && (
        <div ref={list} className="tabs" role="tablist" aria-label="Devices" onKeyDown={onKeyDown}>
          {TABS.map((name, index) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              data-testid={`tab-${name}`}
              aria-selected={index === current}
              aria-controls={`panel-${name}`}
              tabIndex={index === current ? 0 : -1}
              onClick={() => setCurrent(index)}
            >
              <TabLabel actor={actors[name]} />
            </button>
          ))}
        </div>
      )}
      {TABS.map((name, index) => (
        <div
          key={name}
          className="panel"
          id={`panel-${name}`}
          hidden={narrow && index !== current}
          {...(narrow && { role: 'tabpanel', 'aria-labelledby': `tab-${name}` })}
        >
          {panes[index]}
        </div>
      ))}
    </main>
  );
}

/** Its device, and how it is: what is behind the other tabs need not be looked up. */
function TabLabel({ actor }: { readonly actor: Actor }) {
  const isOnline = useSyncExternalStore(actor.subscribe, () => actor.isOnline());
  const pending = useSyncExternalStore(actor.subscribe, () => actor.pending());
  return (
    <>
      {actor.title}
      <span className="tab-state" data-online={isOnline}>
        <span className="dot" /> {isOnline ? 'online' : 'offline'}
        {pending > 0 && `, ${pending} pending`}
      </span>
    </>
  );
}
