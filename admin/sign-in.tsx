import { type FormEvent, useState } from 'react';
import { ask } from './api.js';
import { sentenceOf } from './use-answer.js';

export function SignIn({ onSignedIn }: { readonly onSignedIn: () => void }) {
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const token = String(new FormData(event.currentTarget).get('token') ?? '');
    try {
      await ask('/sign-in', { body: { token } });
      onSignedIn();
    } catch (problem) {
      setError(sentenceOf(problem));
    }
  };
  return (
    <form className="panel sign-in" onSubmit={(event) => void submit(event)}>
      <h2>Sign in</h2>
      <label>
        <span>Admin token</span>
        <input name="token" type="password" autoComplete="current-password" required />
      </label>
      <p className="quiet">
        <code>ADMIN_TOKEN</code> of the server. The page forgets it and keeps a cookie, for ten hours. What
        you do and look at is in the audit trail.
      </p>
      {error !== null && <p role="alert">{error}</p>}
      <button type="submit" className="button primary">
        Sign in
      </button>
    </form>
  );
}
