// Digests, signatures and tokens at the speed of the gateway's own code.
import * as raw from "./raw";
import { bytes, one, out, text, two } from "./room";

export enum Algorithm {
  MD5 = 1,
  SHA1,
  SHA256,
  SHA384,
  SHA512,
}

export enum Signature {
  RS256 = 1,
  RS384,
  RS512,
  PS256,
  PS384,
  PS512,
  ES256,
  ES384,
  ES512,
  EdDSA,
}

export function hash(algorithm: Algorithm, data: Uint8Array): Uint8Array {
  return bytes(max(raw.crypto_hash(algorithm, data.dataStart, data.length, out.at, out.size), 0));
}

export function hmac(algorithm: Algorithm, key: Uint8Array, data: Uint8Array): Uint8Array {
  return bytes(max(raw.crypto_hmac(algorithm, key.dataStart, key.length, data.dataStart, data.length, out.at, out.size), 0));
}

// Compares in a time that doesn't depend on the content.
export function equal(a: string, b: string): bool {
  const n = one.put(a), m = two.put(b);
  return raw.crypto_equal(one.at, n, two.at, m) == 1;
}

// Public keys. Those that are loaded in postern_configure last as long as the
// instance. ok is false when they couldn't be read.
export class Key {
  constructor(private number: i32) {}

  get ok(): bool { return this.number > 0; }

  verify(signature: Signature, data: Uint8Array, mark: Uint8Array): bool {
    return raw.crypto_verify(this.number, signature, data.dataStart, data.length, mark.dataStart, mark.length) == 1;
  }

  // A good token's claims as JSON, else null.
  verifyJwt(token: string): string | null {
    const n = one.put(token);
    let need = raw.crypto_jwt_verify(this.number, one.at, n, out.at, out.size);
    if (need > out.size) need = raw.crypto_jwt_verify(this.number, one.at, n, out.fit(need), need);
    return need < 0 ? null : text(need);
  }
}

// Reads a JWK, a JWK set, or PEM.
export function loadKey(key: string): Key {
  const n = one.put(key);
  return new Key(raw.crypto_key_load(one.at, n));
}
