//! Values and counters that outlive a call and that all instances share. Grant:
//! `kv`.
use crate::error::{check, read, Error, Result};
use crate::raw;
use alloc::vec::Vec;
use core::time::Duration;

/// A value; `None` if there is none.
pub fn get(key: &str) -> Result<Option<Vec<u8>>> {
    read(|at, size| unsafe { raw::kv_get(key.as_ptr(), key.len(), at, size) })
}

/// Sets a value for a time; zero is for as long as there is room.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<()> {
    let value = value.as_ref();
    check(unsafe { raw::kv_set(key.as_ptr(), key.len(), value.as_ptr(), value.len(), ttl.as_nanos() as i64) })?;
    Ok(())
}

/// Removes a value or a counter.
pub fn delete(key: &str) -> Result<()> {
    check(unsafe { raw::kv_delete(key.as_ptr(), key.len()) })?;
    Ok(())
}

/// Adds to a counter, which begins at 0, and returns what it is then. The time
/// counts from its beginning.
pub fn add(key: &str, delta: i64, ttl: Duration) -> Result<i64> {
    let value = unsafe { raw::kv_add(key.as_ptr(), key.len(), delta, ttl.as_nanos() as i64) };
    if value < 0 {
        return Err(Error::Code(value as i32));
    }
    Ok(value)
}

/// Sets a value if it still is `old`, and reports whether it was; an empty `old`
/// means that there is none.
pub fn compare_and_set(key: &str, old: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl: Duration) -> Result<bool> {
    let (old, value) = (old.as_ref(), value.as_ref());
    let set = unsafe { raw::kv_cas(key.as_ptr(), key.len(), old.as_ptr(), old.len(), value.as_ptr(), value.len(), ttl.as_nanos() as i64) };
    Ok(check(set)? == 1)
}
