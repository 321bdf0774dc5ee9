import { type ReactNode, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

/** Puts a page where its index.html has room for it. */
export function mount(page: ReactNode): void {
  const app = document.getElementById('app');
  if (app !== null) createRoot(app).render(<StrictMode>{page}</StrictMode>);
}
