import type { ReactNode } from 'react';
import { Icon, type IconName } from '../web/icons.js';
import { NetworkSwitch } from './network-switch.js';

export type PaneName = 'phone' | 'tablet' | 'old-app';

export const TITLES: Readonly<Record<PaneName, string>> = {
  phone: 'Phone',
  tablet: 'Tablet',
  'old-app': 'Old app',
};

interface PaneProps {
  readonly name: PaneName;
  readonly title: string;
  readonly subtitle: string;
  readonly icon: IconName;
  readonly online: boolean;
  readonly onNetwork: (on: boolean) => void;
  readonly badges: ReactNode;
  readonly children: ReactNode;
}

/** One device: its name, its network, and what it shows. */
export function Pane(props: PaneProps) {
  const { name, title, subtitle, icon, online, onNetwork, badges, children } = props;
  return (
    <section className="pane" data-testid={name} data-online={online} aria-labelledby={`${name}-title`}>
      <header className="pane-head">
        <span className="pane-icon">
          <Icon name={icon} size={20} />
        </span>
        <div className="pane-name">
          <h2 id={`${name}-title`}>{title}</h2>
          <p>{subtitle}</p>
        </div>
        <NetworkSwitch device={title} on={online} onChange={onNetwork} testId={`${name}-network`} />
        <div className="badges">{badges}</div>
      </header>
      <div className="pane-body">{children}</div>
    </section>
  );
}
