import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'vitest';

const hasOpenssl = ((): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** A test that needs a certificate. In CI a missing tool is a failure, not a reason to skip. */
export const withOpenssl = test.skipIf(!hasOpenssl && !process.env.CI);

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Files with a certificate for 127.0.0.1 and its key. */
export function makePair(folder: string, name: string): Pair {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const about = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...about, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  return { cert, key };
}
