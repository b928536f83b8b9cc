use crate::raw;

#[cfg(feature = "alloc")]
use alloc::string::String;

/// Why a host function or a plugin couldn't do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A host function's result: one of the negative numbers of [`raw`], as
    /// `raw::DENIED`.
    Code(i32),
    /// The plugin's own words.
    Text(&'static str),
    /// The plugin's own words, made at run time.
    #[cfg(feature = "alloc")]
    Owned(String),
}

/// A result with this crate's error.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error of the plugin's own.
    pub fn text(text: &'static str) -> Error {
        Error::Text(text)
    }

    /// Makes the current call fail. The gateway logs the reason.
    pub(crate) fn fail(&self) -> i32 {
        let (code, text) = match self {
            Error::Code(code) => (*code, meaning(*code)),
            Error::Text(text) => (1, *text),
            #[cfg(feature = "alloc")]
            Error::Owned(text) => (1, text.as_str()),
        };
        unsafe { raw::fail(code, text.as_ptr(), text.len()) };
        -1
    }
}

fn meaning(code: i32) -> &'static str {
    match code {
        raw::NOT_FOUND => "a host function: not found",
        raw::DENIED => "a host function: denied",
        raw::WRONG_PHASE => "a host function: not in this role",
        raw::BAD_ARGUMENT => "a host function: bad argument",
        raw::LIMIT => "a host function: limit reached",
        raw::UNAVAILABLE => "a host function: unavailable",
        raw::DEADLINE => "a host function: it took too long",
        _ => "a host function failed",
    }
}

impl From<&'static str> for Error {
    fn from(text: &'static str) -> Error {
        Error::Text(text)
    }
}

#[cfg(feature = "alloc")]
impl From<String> for Error {
    fn from(text: String) -> Error {
        Error::Owned(text)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Code(code) => write!(f, "{} ({})", meaning(*code), code),
            Error::Text(text) => f.write_str(text),
            #[cfg(feature = "alloc")]
            Error::Owned(text) => f.write_str(text),
        }
    }
}

#[cfg(feature = "std")]
impl std::error::Error for Error {}

/// Makes an error of a negative result.
pub(crate) fn check(result: i32) -> Result<i32> {
    if result < 0 {
        return Err(Error::Code(result));
    }
    Ok(result)
}

/// Reads with a function that fills a buffer and returns the length it needs.
/// What isn't there is `None`.
#[cfg(feature = "alloc")]
pub(crate) fn read(f: impl Fn(*mut u8, usize) -> i32) -> Result<Option<alloc::vec::Vec<u8>>> {
    // Most values are short: one call, one allocation.
    let mut buffer = alloc::vec::Vec::with_capacity(256);
    loop {
        let need = f(buffer.as_mut_ptr(), buffer.capacity());
        if need == raw::NOT_FOUND {
            return Ok(None);
        }
        let need = check(need)? as usize;
        if need <= buffer.capacity() {
            // The host has written that many bytes.
            unsafe { buffer.set_len(need) };
            return Ok(Some(buffer));
        }
        buffer.reserve(need);
    }
}

/// Reads text; the host gives only UTF-8 where it promises text.
#[cfg(feature = "alloc")]
pub(crate) fn read_text(f: impl Fn(*mut u8, usize) -> i32) -> Result<Option<String>> {
    Ok(read(f)?.map(|b| match String::from_utf8(b) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    }))
}
