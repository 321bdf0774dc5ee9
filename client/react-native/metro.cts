/**
 * Metro resolves lib0, which Yjs is built on, to a file that asks for `isomorphic-webcrypto`: an abandoned package
 * with native parts. This answers that request with a small file of ours.
 *
 * @example
 * // metro.config.js
 * const { getDefaultConfig } = require('@react-native/metro-config');
 * const { withTelemedSync } = require('telemed-sync/metro');
 * module.exports = withTelemedSync(getDefaultConfig(__dirname));
 */
import path = require('node:path');

/** The part of Metro's resolution context that is used here. */
interface ResolutionContext {
  readonly resolveRequest: ResolveRequest;
  readonly unstable_enablePackageExports?: boolean;
}
type ResolveRequest = (context: ResolutionContext, name: string, platform: string | null) => unknown;

const WEBCRYPTO = 'isomorphic-webcrypto/src/react-native';
const OURS = path.join(__dirname, 'webcrypto.js');

/**
 * These need `exports` of package.json. Apps switch them off for the sake of other packages, and Metro before
 * 0.82 did not read them: so they are read for these packages, and for others as the app has it.
 */
const NEED_EXPORTS = /^(?:telemed-sync|yjs|lib0|y-protocols)(?:\/|$)/;

const withExports = (context: ResolutionContext, name: string): ResolutionContext =>
  NEED_EXPORTS.test(name) ? { ...context, unstable_enablePackageExports: true } : context;

function resolverBefore(next: ResolveRequest | null | undefined): ResolveRequest {
  return (context, name, platform) =>
    name === WEBCRYPTO
      ? { type: 'sourceFile', filePath: OURS }
      : (next ?? context.resolveRequest)(withExports(context, name), name, platform);
}

/** Returns the config with what telemed-sync needs of Metro; a `resolveRequest` of the app goes on working. */
function withTelemedSync<Config extends object>(config: Config): Config {
  const { resolver } = config as { resolver?: { resolveRequest?: ResolveRequest | null } };
  const resolveRequest = resolverBefore(resolver?.resolveRequest);
  return { ...config, resolver: { ...resolver, resolveRequest } };
}

export = { withTelemedSync };
