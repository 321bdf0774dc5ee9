import { Icon } from '../web/icons.js';
import { ThemeButton } from '../web/theme-button.js';
import { USER } from './identity.js';

interface TopBarProps {
  readonly onSample: () => void;
  readonly onHistory: () => void;
}

export function TopBar({ onSample, onHistory }: TopBarProps) {
  return (
    <header className="top">
      <div className="top-name">
        <img src="./icon.svg" alt="" width="36" height="36" />
        <div>
          <h1>Edit offline, on every device. Nothing is lost when they meet.</h1>
          <p>
            This is <strong>telemed-sync</strong>, live: play a scene, or switch devices off and edit by
            yourself.
          </p>
        </div>
      </div>
      <div className="top-actions">
        <a
          className="user"
          href={`?user=${encodeURIComponent(USER)}`}
          data-testid="user"
          title="Open this address in another browser to share these appointments"
        >
          <span>User</span> {USER}
        </a>
        <button type="button" className="button" data-testid="sample" onClick={onSample}>
          Sample data
        </button>
        <button type="button" className="button" data-testid="all-history" onClick={onHistory}>
          <Icon name="history" size={16} /> History
        </button>
        <ThemeButton />
      </div>
    </header>
  );
}
