//! Regular expressions (RE2) and encodings.
use crate::error::{check, read, read_text, Result};
use crate::raw;
use alloc::{string::String, vec::Vec};

/// A compiled expression. One of configure lasts as long as the instance.
#[derive(Clone, Copy, Debug)]
pub struct Regex(i32);

impl Regex {
    /// Compiles an expression.
    pub fn new(pattern: &str) -> Result<Regex> {
        Ok(Regex(check(unsafe { raw::text_regex(pattern.as_ptr(), pattern.len()) })?))
    }

    /// Reports whether it is found in a text.
    pub fn is_match(self, text: &str) -> Result<bool> {
        Ok(check(unsafe { raw::text_match(self.0, text.as_ptr(), text.len()) })? == 1)
    }

    /// A group of the first place where it is found; 0 is all of it.
    pub fn find(self, text: &str, group: usize) -> Result<Option<String>> {
        read_text(|at, size| unsafe { raw::text_find(self.0, text.as_ptr(), text.len(), group as i32, at, size) })
    }

    /// The text with each place replaced; $1 in `by` is a group.
    pub fn replace(self, text: &str, by: &str) -> Result<String> {
        let f = |at, size| unsafe { raw::text_replace(self.0, text.as_ptr(), text.len(), by.as_ptr(), by.len(), at, size) };
        Ok(read_text(f)?.unwrap_or_default())
    }
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Coding {
    Base64 = raw::BASE64,
    Base64Url = raw::BASE64_URL,
    Hex = raw::HEX,
    Percent = raw::PERCENT,
    Form = raw::FORM,
}

/// Encodes.
pub fn encode(coding: Coding, data: impl AsRef<[u8]>) -> Result<String> {
    let data = data.as_ref();
    Ok(read_text(|at, size| unsafe { raw::text_encode(coding as i32, data.as_ptr(), data.len(), at, size) })?.unwrap_or_default())
}

/// Decodes.
pub fn decode(coding: Coding, text: &str) -> Result<Vec<u8>> {
    Ok(read(|at, size| unsafe { raw::text_decode(coding as i32, text.as_ptr(), text.len(), at, size) })?.unwrap_or_default())
}
