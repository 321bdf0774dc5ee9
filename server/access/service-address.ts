import { ConfigError } from '../config.js';

/**
 * The address of a service that is trusted with tokens, or with who somebody is.
 *
 * @throws ConfigError unless it is https, or of this machine
 */
export function serviceAddress(option: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isThisMachine(url.hostname));
  if (url === null || !isSafe) throw new ConfigError([`${option} has to be an https address.`]);
  return url;
}

const isThisMachine = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);
