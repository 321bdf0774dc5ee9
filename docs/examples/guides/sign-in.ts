/** How an app signs in to the sync server with tokens of its login service: docs/guides/TOKENS.md. */
import { syncManager } from 'telemed-sync';

export async function getToken(): Promise<string | null> {
  const response = await fetch('/sync-token', { method: 'POST' });
  if (response.status === 401) return null; // signed out: the status says `needs-token`
  if (!response.ok) throw new Error(`The login service answered ${response.status}.`); // tried again later
  const { token } = (await response.json()) as { token: string };
  return token;
}

export const signIn = (serverUrl: string, userId: string): Promise<void> =>
  syncManager.initialize({ serverUrl, userId, getToken });
