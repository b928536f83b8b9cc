//! Requests to other servers, to those that the configuration names. Several may
//! be under way at once: send them all, then read. Grant: `http`.
use crate::error::{check, read_text, Result};
use crate::raw;
use alloc::{string::String, vec::Vec};
use core::time::Duration;

/// A request to be sent.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    method: &'a str,
    url: &'a str,
    headers: String,
    body: &'a [u8],
    timeout: Duration,
}

impl<'a> Call<'a> {
    /// A request without headers and content.
    pub fn new(method: &'a str, url: &'a str) -> Call<'a> {
        Call { method, url, headers: String::new(), body: &[], timeout: Duration::from_secs(0) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Call<'a> {
        for part in [name, ": ", value, "\n"] {
            self.headers.push_str(part);
        }
        self
    }

    /// Sets the content.
    pub fn body(mut self, body: &'a [u8]) -> Call<'a> {
        self.body = body;
        self
    }

    /// Sets how long all of it may take; zero is what the configuration says.
    pub fn timeout(mut self, timeout: Duration) -> Call<'a> {
        self.timeout = timeout;
        self
    }

    /// Begins the request and doesn't wait.
    pub fn send(&self) -> Result<Answer> {
        let (m, u, h, b) = (self.method, self.url, &self.headers, self.body);
        let number = unsafe {
            raw::http_send(m.as_ptr(), m.len(), u.as_ptr(), u.len(), h.as_ptr(), h.len(), b.as_ptr(), b.len(), self.timeout.as_nanos() as i64)
        };
        Ok(Answer(check(number)?))
    }
}

/// An answer that is there or on its way. Its methods wait for what they return.
#[derive(Clone, Copy, Debug)]
pub struct Answer(i32);

impl Answer {
    /// The status.
    pub fn status(self) -> Result<u16> {
        Ok(check(unsafe { raw::http_status(self.0) })? as u16)
    }

    /// The last value of a header.
    pub fn header(self, name: &str) -> Result<Option<String>> {
        read_text(|at, size| unsafe { raw::http_header(self.0, name.as_ptr(), name.len(), at, size) })
    }

    /// Reads the next bytes of the content; 0 is the end.
    pub fn read(self, buffer: &mut [u8]) -> Result<usize> {
        Ok(check(unsafe { raw::http_read(self.0, buffer.as_mut_ptr(), buffer.len()) })? as usize)
    }

    /// Reads all that is left of the content.
    pub fn read_all(self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut part = [0; 4096];
        loop {
            match self.read(&mut part)? {
                0 => return Ok(all),
                n => all.extend_from_slice(&part[..n]),
            }
        }
    }
}
