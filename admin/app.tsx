import { useCallback, useEffect, useState, useSyncExternalStore } from 'react';
import { ThemeButton } from '../web/theme-button.js';
import { ask, type Overview, Refusal } from './api.js';
import { DevicePage } from './device.js';
import { Live } from './live.js';
import { OverviewPage } from './overview.js';
import { SignIn } from './sign-in.js';
import { sentenceOf } from './use-answer.js';
import { UserPage } from './user.js';
import { UsersPage } from './users.js';

type Access = 'asking' | 'out' | 'in';

export function App() {
  const [access, setAccess] = useState<Access>('asking');
  const [live, setLive] = useState<Live | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const enter = useCallback(async () => {
    try {
      const overview = await ask<Overview>('/overview');
      const onOut = () => {
        setLive(null);
        setAccess('out');
      };
      setLive(new Live(overview, onOut));
      setProblem(null);
      setAccess('in');
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) setAccess('out');
      else setProblem(sentenceOf(error));
    }
  }, []);
  useEffect(() => void enter(), [enter]);
  useEffect(() => () => live?.close(), [live]);
  const leave = async () => {
    await ask('/sign-out', { method: 'POST' }).catch(() => {});
    setLive(null);
    setAccess('asking');
    await enter();
  };
  const place = useSyncExternalStore(onHash, () => location.hash);
  return (
    <div className="page">
      <TopBar place={place} onLeave={access === 'in' ? () => void leave() : null} />
      <main>
        {problem !== null && <p role="alert">{problem}</p>}
        {access === 'out' && <SignIn onSignedIn={() => void enter()} />}
        {access === 'in' && live !== null && <Place place={place} live={live} />}
      </main>
    </div>
  );
}

function onHash(listener: () => void): () => void {
  addEventListener('hashchange', listener);
  return () => removeEventListener('hashchange', listener);
}

function Place({ place, live }: { readonly place: string; readonly live: Live }) {
  const [user, device] = [nameIn(place, 'users'), nameIn(place, 'devices')];
  if (device !== null) return <DevicePage key={device} device={device} />;
  if (user !== null) return <UserPage key={user} user={user} live={live} />;
  if (place.startsWith('#/users')) return <UsersPage />;
  return <OverviewPage live={live} />;
}

/** Whom or what the address names; `null` for none, and where somebody cut it off in the middle of a letter. */
function nameIn(place: string, of: 'users' | 'devices'): string | null {
  const [, kind, name] = /^#\/(users|devices)\/(.+)$/.exec(place) ?? [];
  if (kind !== of) return null;
  try {
    return name === undefined ? null : decodeURIComponent(name);
  } catch {
    return null;
  }
}

interface TopBarProps {
  readonly place: string;
  readonly onLeave: (() => void) | null;
}

function TopBar({ place, onLeave }: TopBarProps) {
  const isUsers = /^#\/(?:users|devices)/.test(place);
  return (
    <header className="top admin-top">
      <h1>telemed-sync</h1>
      {onLeave !== null && (
        <nav aria-label="Pages">
          <a href="#/" aria-current={isUsers ? undefined : 'page'}>
            Overview
          </a>
          <a href="#/users" aria-current={isUsers ? 'page' : undefined}>
            Users
          </a>
        </nav>
      )}
      <div className="top-actions">
        {onLeave !== null && (
          <button type="button" className="button" data-testid="sign-out" onClick={onLeave}>
            Sign out
          </button>
        )}
        <ThemeButton />
      </div>
    </header>
  );
}
