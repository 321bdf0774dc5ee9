/** Puts what both packages show their readers beside what was built of them: npm packs nothing from outside a folder. */
import { cpSync, rmSync } from 'node:fs';

for (const folder of ['packages/client', 'packages/server'])
  for (const name of ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'LICENSE', 'docs']) {
    rmSync(`${folder}/${name}`, { recursive: true, force: true });
    cpSync(name, `${folder}/${name}`, { recursive: true });
  }

rmSync('packages/server/deploy', { recursive: true, force: true });
cpSync('deploy', 'packages/server/deploy', { recursive: true });
