//! Digests, signatures and tokens at the speed of the gateway's own code.
use crate::error::{check, read, Error, Result};
use crate::raw;
use alloc::{string::String, vec::Vec};

/// A digest.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Algorithm {
    Md5 = raw::MD5,
    Sha1 = raw::SHA1,
    Sha256 = raw::SHA256,
    Sha384 = raw::SHA384,
    Sha512 = raw::SHA512,
}

/// How something is signed, named as in RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Signature {
    Rs256 = raw::RS256,
    Rs384 = raw::RS384,
    Rs512 = raw::RS512,
    Ps256 = raw::PS256,
    Ps384 = raw::PS384,
    Ps512 = raw::PS512,
    Es256 = raw::ES256,
    Es384 = raw::ES384,
    Es512 = raw::ES512,
    EdDsa = raw::EDDSA,
}

/// Computes a digest.
pub fn hash(algorithm: Algorithm, data: impl AsRef<[u8]>) -> Result<Vec<u8>> {
    let data = data.as_ref();
    Ok(read(|at, size| unsafe { raw::crypto_hash(algorithm as i32, data.as_ptr(), data.len(), at, size) })?.unwrap_or_default())
}

/// Computes an HMAC.
pub fn hmac(algorithm: Algorithm, key: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Result<Vec<u8>> {
    let (key, data) = (key.as_ref(), data.as_ref());
    let f = |at, size| unsafe { raw::crypto_hmac(algorithm as i32, key.as_ptr(), key.len(), data.as_ptr(), data.len(), at, size) };
    Ok(read(f)?.unwrap_or_default())
}

/// Compares in a time that doesn't depend on the content.
pub fn equal(one: impl AsRef<[u8]>, other: impl AsRef<[u8]>) -> bool {
    let (one, other) = (one.as_ref(), other.as_ref());
    unsafe { raw::crypto_equal(one.as_ptr(), one.len(), other.as_ptr(), other.len()) == 1 }
}

/// Public keys. Those that are loaded in configure last as long as the instance.
#[derive(Clone, Copy, Debug)]
pub struct Key(i32);

impl Key {
    /// Reads a JWK, a JWK set, or PEM.
    pub fn load(key: &str) -> Result<Key> {
        Ok(Key(check(unsafe { raw::crypto_key_load(key.as_ptr(), key.len()) })?))
    }

    /// Checks a signature.
    pub fn verify(self, signature: Signature, data: impl AsRef<[u8]>, mark: impl AsRef<[u8]>) -> Result<bool> {
        let (data, mark) = (data.as_ref(), mark.as_ref());
        let good = unsafe { raw::crypto_verify(self.0, signature as i32, data.as_ptr(), data.len(), mark.as_ptr(), mark.len()) };
        Ok(check(good)? == 1)
    }

    /// Checks a token's signature, exp and nbf and returns its claims as JSON;
    /// `None` when it isn't good.
    pub fn verify_jwt(self, token: &str) -> Result<Option<String>> {
        let f = |at, size| unsafe { raw::crypto_jwt_verify(self.0, token.as_ptr(), token.len(), at, size) };
        match read(f) {
            Err(Error::Code(raw::DENIED)) => Ok(None),
            claims => Ok(claims?.map(|b| String::from_utf8_lossy(&b).into_owned())),
        }
    }
}
