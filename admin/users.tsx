import { type FormEvent, useState } from 'react';
import type { User, UserPage } from './api.js';
import { ago, bytes, number } from './format.js';
import { useHasNodes } from './nodes.js';
import { useAnswer } from './use-answer.js';

export function UsersPage() {
  const [search, setSearch] = useState('');
  const [after, setAfter] = useState<readonly string[]>([]);
  const last = after.at(-1);
  const query = new URLSearchParams({
    search,
    limit: '50',
    ...(last !== undefined && { after: last }),
  });
  const { answer, error, again } = useAnswer<UserPage>(`/users?${query}`);
  const hasNodes = useHasNodes();
  // Not at each letter: a search looks at many names, and is a line of the audit trail.
  const find = (text: string) => {
    if (text === search && after.length === 0) again();
    setSearch(text);
    setAfter([]);
  };
  return (
    <section className="panel">
      <div className="panel-head">
        <h2>Users</h2>
        <div className="actions">
          <Search label="Search by name" hint="Part of a name" action="Search" onSearch={find} />
          <Search label="Find a device" hint="Id of a device" action="Find" onSearch={goToDevice} />
        </div>
      </div>
      {error !== null && <p role="alert">{error}</p>}
      {answer !== null && <UserTable page={answer} hasNodes={hasNodes} />}
      <div className="actions">
        {after.length > 0 && (
          <button type="button" className="button small" onClick={() => setAfter(after.slice(0, -1))}>
            Back
          </button>
        )}
        {answer?.next != null && (
          <button
            type="button"
            className="button small"
            data-testid="more"
            onClick={() => answer.next !== null && setAfter([...after, answer.next])}
          >
            {answer.users.length === 0 ? 'Search on' : 'Next page'}
          </button>
        )}
      </div>
    </section>
  );
}

function goToDevice(device: string): void {
  if (device.trim() !== '') location.hash = `#/devices/${encodeURIComponent(device.trim())}`;
}

interface SearchProps {
  readonly label: string;
  readonly hint: string;
  readonly action: string;
  readonly onSearch: (text: string) => void;
}

function Search({ label, hint, action, onSearch }: SearchProps) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    onSearch(String(new FormData(event.currentTarget).get('text') ?? ''));
  };
  return (
    <form className="actions" onSubmit={submit}>
      <label className="search">
        <span className="hidden">{label}</span>
        <input name="text" type="search" placeholder={hint} />
      </label>
      <button type="submit" className="button small">
        {action}
      </button>
    </form>
  );
}

interface UserTableProps {
  readonly page: UserPage;
  readonly hasNodes: boolean;
}

function UserTable({ page, hasNodes }: UserTableProps) {
  if (page.users.length === 0) return <p className="quiet">Nobody here.</p>;
  return (
    <div className="wide">
      <table data-testid="users">
        <thead>
          <tr>
            <th scope="col">User</th>
            <th scope="col">Size</th>
            <th scope="col">Changes</th>
            <th scope="col">Last change</th>
            <th scope="col">{hasNodes ? 'Connected here' : 'Connected'}</th>
          </tr>
        </thead>
        <tbody>
          {page.users.map((user) => (
            <UserRow key={user.user} user={user} limit={page.limit} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function UserRow({ user, limit }: { readonly user: User; readonly limit: number | null }) {
  const { bytes: size, changedAt, connections, damaged, revision } = user;
  return (
    <tr>
      <th scope="row">
        <a href={`#/users/${encodeURIComponent(user.user)}`}>{user.user}</a>
        {damaged && (
          <span className="badge" data-state="refused">
            damaged
          </span>
        )}
      </th>
      <td data-label="Size">
        {size === null ? '–' : bytes(size)}
        {size !== null && limit !== null && (
          <meter min="0" max={limit} high={limit * 0.9} value={size} aria-label={`of ${bytes(limit)}`} />
        )}
      </td>
      <td data-label="Changes">{revision === null ? '–' : number(revision)}</td>
      <td data-label="Last change">{changedAt === null ? '–' : ago(changedAt)}</td>
      <td data-label="Connected">{connections === 0 ? '–' : number(connections)}</td>
    </tr>
  );
}
