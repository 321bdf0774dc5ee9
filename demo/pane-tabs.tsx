import { type KeyboardEvent, type ReactNode, useRef, useState } from 'react';
import type { PaneName } from './pane.js';

interface PaneTabsProps {
  readonly narrow: boolean;
  /** One for each tab. */
  readonly children: ReactNode;
}

const TABS: readonly (readonly [name: PaneName, title: string])[] = [
  ['phone', 'Phone'],
  ['tablet', 'Tablet'],
  ['old-app', 'Old app'],
];
const STEPS: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowLeft: -1 };

/** The panes beside each other or, on a narrow screen, one at a time. All of them live on behind the tabs. */
export function PaneTabs({ narrow, children }: PaneTabsProps) {
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
          {TABS.map(([name, title], index) => (
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
              {title}
            </button>
          ))}
        </div>
      )}
      {TABS.map(([name], index) => (
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
