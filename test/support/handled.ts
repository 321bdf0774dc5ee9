/** Servers inside this process, by their URL, and when each has handled what it was sent. */
const servers = new Map<string, () => Promise<void>>();

export function noteServer(url: string, idle: () => Promise<void>): () => void {
  servers.set(url, idle);
  return () => void servers.delete(url);
}

/** Resolves when the server at this URL has handled what it has received; of another process that can't be told. */
export const handled = async (url: string): Promise<void> => servers.get(url)?.();
