//! The guest's side of postern's plugins. A plugin is a type with methods for its
//! roles, of which `export!` names those that it has:
//!
//! ```
//! use postern::*;
//!
//! struct Trace;
//!
//! impl Plugin for Trace {
//!     fn configure(_: &str) -> Result<Self> {
//!         Ok(Trace)
//!     }
//!     fn request(&mut self, r: Request, _: Response) -> Result<Verdict> {
//!         r.headers().set("x-trace", &r.id())?;
//!         Ok(Verdict::Continue)
//!     }
//! }
//!
//! export!(Trace: request);
//! ```
//!
//! Whatever a plugin doesn't call it doesn't import, and what it doesn't import it
//! needn't be granted. One instance serves one call at a time, and none lives for
//! ever: what must last belongs into [`kv`], not into the type.
#![no_std]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[allow(missing_docs)]
pub mod raw;

mod error;
mod message;

#[cfg(feature = "alloc")]
pub mod crypto;
#[cfg(feature = "alloc")]
pub mod http;
#[cfg(feature = "alloc")]
pub mod json;
#[cfg(feature = "alloc")]
pub mod kv;
pub mod metric;
#[cfg(feature = "alloc")]
pub mod text;

pub use error::{Error, Result};
pub use message::{Backend, Body, Incoming, Map, Outgoing, Piece, Record, Request, Response};

/// What an authorizer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Decision {
    /// The request goes on.
    Allow = raw::ALLOW,
    /// 403.
    Deny = raw::DENY,
    /// 401.
    Unauthenticated = raw::UNAUTHENTICATED,
}

/// What a request filter wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// The request goes on as it is now.
    Continue = raw::CONTINUE,
    /// The gateway answers with what is in [`Response`].
    Answer = raw::ANSWER,
    /// 403; in the role request_body only.
    Refuse = raw::REFUSE,
}

/// What a validator finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Judgement {
    /// The request goes on.
    Valid = raw::VALID,
    /// 400 BAD_REQUEST_BODY.
    InvalidBody = raw::INVALID_BODY,
    /// 400 BAD_REQUEST_PARAMETERS.
    InvalidParameters = raw::INVALID_PARAMETERS,
}

/// A plugin: its configuration and its roles. An error makes the call fail: the
/// client gets 500 or 502, and the log the error's text.
pub trait Plugin: Sized {
    /// Makes an instance ready. `config` is the plugin's config as JSON.
    fn configure(config: &str) -> Result<Self>;
    /// Decides about the caller.
    fn authorize(&mut self, _: Request) -> Result<Decision> {
        missing()
    }
    /// Answers the request.
    fn integrate(&mut self, _: Request, _: Response) -> Result<()> {
        missing()
    }
    /// Sees and changes the request before anything else does.
    fn request(&mut self, _: Request, _: Response) -> Result<Verdict> {
        missing()
    }
    /// Sees and changes what the client gets.
    fn response(&mut self, _: Request, _: Response) -> Result<()> {
        missing()
    }
    /// Changes what goes to the backend.
    fn map_request(&mut self, _: Request, _: Backend) -> Result<()> {
        missing()
    }
    /// Makes the client's answer from the backend's.
    fn map_response(&mut self, _: Request, _: Response) -> Result<()> {
        missing()
    }
    /// Judges the request.
    fn validate(&mut self, _: Request) -> Result<Judgement> {
        missing()
    }
    /// Sees and changes a piece of the request's content on its way.
    fn request_body(&mut self, _: Request, _: Piece) -> Result<Verdict> {
        missing()
    }
    /// Sees and changes a piece of what the client gets, on its way.
    fn response_body(&mut self, _: Request, _: Response, _: Piece) -> Result<()> {
        missing()
    }
    /// Puts a TXT record into a DNS zone, or removes it.
    fn dns(&mut self, _: Record) -> Result<()> {
        missing()
    }
    /// Decides if the request's `domain_name` may have a certificate.
    fn certify(&mut self, _: Request) -> Result<Decision> {
        missing()
    }
}

fn missing<T>() -> Result<T> {
    Err(Error::text("export! names a role that the plugin has no method for"))
}

/// Exports a plugin's roles: `export!(Guard: authorize, request);`
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($role:ident),+ $(,)?) => {
        static mut POSTERN_PLUGIN: Option<$plugin> = None;

        #[no_mangle]
        extern "C" fn postern_abi() -> i32 {
            $crate::raw::VERSION
        }

        #[no_mangle]
        extern "C" fn postern_configure() -> i32 {
            // An instance has one thread.
            $crate::start::<$plugin>(unsafe { &mut *core::ptr::addr_of_mut!(POSTERN_PLUGIN) })
        }

        $($crate::export_role!($plugin, $role);)+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_role {
    ($plugin:ty, authorize) => {
        $crate::export_role!($plugin, postern_authorize, |p| p.authorize($crate::Request), |d| d as i32);
    };
    ($plugin:ty, integrate) => {
        $crate::export_role!($plugin, postern_integrate, |p| p.integrate($crate::Request, $crate::Response), |_| 0);
    };
    ($plugin:ty, request) => {
        $crate::export_role!($plugin, postern_request, |p| p.request($crate::Request, $crate::Response), |v| v as i32);
    };
    ($plugin:ty, response) => {
        $crate::export_role!($plugin, postern_response, |p| p.response($crate::Request, $crate::Response), |_| $crate::raw::CONTINUE);
    };
    ($plugin:ty, map_request) => {
        $crate::export_role!($plugin, postern_map_request, |p| p.map_request($crate::Request, $crate::Backend), |_| 0);
    };
    ($plugin:ty, map_response) => {
        $crate::export_role!($plugin, postern_map_response, |p| p.map_response($crate::Request, $crate::Response), |_| 0);
    };
    ($plugin:ty, validate) => {
        $crate::export_role!($plugin, postern_validate, |p| p.validate($crate::Request), |j| j as i32);
    };
    ($plugin:ty, request_body) => {
        $crate::export_role!($plugin, postern_request_body, |p| p.request_body($crate::Request, $crate::Piece), |v| v as i32);
    };
    ($plugin:ty, response_body) => {
        $crate::export_role!($plugin, postern_response_body, |p| p.response_body($crate::Request, $crate::Response, $crate::Piece), |_| $crate::raw::CONTINUE);
    };
    ($plugin:ty, dns) => {
        $crate::export_role!($plugin, postern_dns, |p| p.dns($crate::Record), |_| 0);
    };
    ($plugin:ty, certify) => {
        $crate::export_role!($plugin, postern_certify, |p| p.certify($crate::Request), |d| d as i32);
    };
    ($plugin:ty, $export:ident, $call:expr, $number:expr) => {
        #[no_mangle]
        extern "C" fn $export() -> i32 {
            $crate::enter::<$plugin, _>(unsafe { &mut *core::ptr::addr_of_mut!(POSTERN_PLUGIN) }, $call, $number)
        }
    };
}

#[doc(hidden)]
pub fn start<P: Plugin>(plugin: &mut Option<P>) -> i32 {
    #[cfg(feature = "std")]
    std::panic::set_hook(std::boxed::Box::new(|p| {
        Error::from(std::string::ToString::to_string(p)).fail();
    }));
    match message::with_config(P::configure) {
        Ok(p) => {
            *plugin = Some(p);
            0
        }
        Err(e) => e.fail(),
    }
}

#[doc(hidden)]
pub fn enter<P, T>(plugin: &mut Option<P>, call: impl FnOnce(&mut P) -> Result<T>, number: impl FnOnce(T) -> i32) -> i32 {
    let result = match plugin {
        Some(p) => call(p),
        None => Err(Error::text("the plugin wasn't configured")),
    };
    match result {
        Ok(value) => number(value),
        Err(e) => e.fail(),
    }
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Level {
    Debug = raw::LEVEL_DEBUG,
    Info = raw::LEVEL_INFO,
    Warn = raw::LEVEL_WARN,
    Error = raw::LEVEL_ERROR,
}

/// Writes a line to the gateway's log; what is too much for a call is dropped.
pub fn log(level: Level, text: &str) {
    unsafe { raw::log(level as i32, text.as_ptr(), text.len()) };
}

/// Reports whether lines of a level are kept at all.
pub fn log_enabled(level: Level) -> bool {
    unsafe { raw::log_enabled(level as i32) == 1 }
}

/// The gateway's clock, in nanoseconds since 1970.
pub fn time() -> i64 {
    unsafe { raw::time() }
}

/// The time until the gateway stops the call, in nanoseconds.
pub fn deadline_left() -> i64 {
    unsafe { raw::deadline_left() }
}

/// Fills a buffer of at most 64 KiB from the system's random numbers.
pub fn random(buffer: &mut [u8]) -> Result<()> {
    error::check(unsafe { raw::random(buffer.as_mut_ptr(), buffer.len()) })?;
    Ok(())
}
