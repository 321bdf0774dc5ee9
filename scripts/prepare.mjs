/** Builds a checkout after `npm install`; where the tools of development are not installed, there is nothing to do. */
import { execSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const hasTools = ['typescript', 'vite', '@vitejs/plugin-react'].every((name) =>
  existsSync(`node_modules/${name}`),
);
if (hasTools) execSync('npm run --silent build', { stdio: 'inherit' });
