/** Why a token is refused, in words for who has it: a wrong clock, audience or key is found in a minute, not a day. */
import { errors } from 'jose';

/**
 * What `jose` found. It looks at claims only once the signature is right, so that nobody learns anything of a server by
 * tokens that were made up.
 */
export function sentenceOf(error: unknown, now: number): string {
  if (error instanceof errors.JWTExpired) return expired(error.payload.exp, now);
  if (error instanceof errors.JWTClaimValidationFailed) return claimSentence(error, now);
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return 'The signature of the token is not valid: it was signed with another key, or changed.';
  if (error instanceof errors.JOSEAlgNotAllowed)
    return 'The token is signed with an algorithm that the server does not allow (JWT_ALGORITHMS).';
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return 'The token is signed with a key that the server does not know (JWT_JWKS_URL).';
  return 'The token is no JSON Web Token that can be read.';
}

function expired(exp: number | undefined, now: number): string {
  return typeof exp === 'number'
    ? `The token expired ${duration(now - exp * 1000)} ago.`
    : 'The token has expired.';
}

function claimSentence({ claim, reason, payload }: errors.JWTClaimValidationFailed, now: number): string {
  if (reason === 'missing') return `The token has no claim '${claim}'.`;
  if (claim === 'iss') return "Wrong issuer: the claim 'iss' of the token is not JWT_ISSUER of the server.";
  if (claim === 'aud')
    return "Wrong audience: the claim 'aud' of the token does not name JWT_AUDIENCE of the server.";
  if (claim === 'nbf' && typeof payload.nbf === 'number' && payload.nbf * 1000 > now)
    return `The token is not good before ${duration(payload.nbf * 1000 - now)} from now.`;
  return `The claim '${claim}' is not valid.`;
}

/** Where the next larger unit would be too rough. */
const UNITS = [
  [1_000, 's', 120],
  [60_000, 'min', 120],
  [3_600_000, 'h', 48],
] as const;

function duration(ms: number): string {
  for (const [unit, name, most] of UNITS)
    if (ms < unit * most) return `${Math.max(1, Math.round(ms / unit))} ${name}`;
  return `${Math.round(ms / 86_400_000)} days`;
}
