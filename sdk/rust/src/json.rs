//! JSON, parsed by the gateway. A path is `$`, `.name`, `['name']` and `[index]`.
use crate::error::{check, read, read_text, Result};
use crate::{raw, Body};
use alloc::{format, string::String, vec::Vec};

/// A parsed document. It is valid until the call ends.
#[derive(Clone, Copy, Debug)]
pub struct Document(i32);

/// What stands somewhere in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// Parses text.
pub fn parse(text: impl AsRef<[u8]>) -> Result<Document> {
    let text = text.as_ref();
    Ok(Document(check(unsafe { raw::json_parse(text.as_ptr(), text.len()) })?))
}

/// Parses content, which doesn't come into the guest.
pub fn open(body: Body) -> Result<Document> {
    Ok(Document(check(unsafe { raw::json_open(body.0) })?))
}

/// Parses AWS's proxy event.
pub fn event() -> Result<Document> {
    Ok(Document(check(unsafe { raw::json_open(raw::DOCUMENT_EVENT) })?))
}

/// A text as JSON, with its quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\0'..='\x1f' => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl Document {
    /// What stands at a path; `None` if nothing does.
    pub fn kind(self, path: &str) -> Option<Kind> {
        match unsafe { raw::json_kind(self.0, path.as_ptr(), path.len()) } {
            raw::KIND_NULL => Some(Kind::Null),
            raw::KIND_BOOLEAN => Some(Kind::Boolean),
            raw::KIND_NUMBER => Some(Kind::Number),
            raw::KIND_STRING => Some(Kind::String),
            raw::KIND_ARRAY => Some(Kind::Array),
            raw::KIND_OBJECT => Some(Kind::Object),
            _ => None,
        }
    }

    /// How many elements or members stand at a path.
    pub fn count(self, path: &str) -> usize {
        unsafe { raw::json_count(self.0, path.as_ptr(), path.len()) }.max(0) as usize
    }

    /// A string's text, anything else as JSON.
    pub fn get(self, path: &str) -> Option<String> {
        read_text(|at, size| unsafe { raw::json_get(self.0, path.as_ptr(), path.len(), at, size) }).ok().flatten()
    }

    /// The name of an object's member.
    pub fn name(self, path: &str, index: usize) -> Option<String> {
        read_text(|at, size| unsafe { raw::json_name(self.0, path.as_ptr(), path.len(), index as i32, at, size) }).ok().flatten()
    }

    /// Puts a value, as JSON, at a path.
    pub fn set(self, path: &str, json: &str) -> Result<()> {
        check(unsafe { raw::json_set(self.0, path.as_ptr(), path.len(), json.as_ptr(), json.len()) })?;
        Ok(())
    }

    /// Puts a string at a path.
    pub fn set_text(self, path: &str, text: &str) -> Result<()> {
        self.set(path, &quote(text))
    }

    /// Removes what stands at a path.
    pub fn delete(self, path: &str) -> Result<()> {
        check(unsafe { raw::json_delete(self.0, path.as_ptr(), path.len()) })?;
        Ok(())
    }

    /// The document as JSON.
    pub fn write(self) -> Result<Vec<u8>> {
        Ok(read(|at, size| unsafe { raw::json_write(self.0, at, size) })?.unwrap_or_default())
    }

    /// Makes the document the new content of a body.
    pub fn write_to(self, body: Body) -> Result<()> {
        check(unsafe { raw::json_write_body(self.0, body.0) })?;
        Ok(())
    }
}
