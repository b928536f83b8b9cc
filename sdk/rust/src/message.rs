use crate::error::check;
use crate::{raw, Error, Result};

#[cfg(feature = "alloc")]
use crate::error::{read, read_text};
#[cfg(feature = "alloc")]
use alloc::{string::String, vec, vec::Vec};

/// Names and values: headers, parameters, variables. Which of its methods work in
/// which role stands in plugins/ABI.md.
#[derive(Clone, Copy, Debug)]
pub struct Map(i32);

impl Map {
    /// The last value of a name.
    #[cfg(feature = "alloc")]
    pub fn get(self, name: &str) -> Option<String> {
        read_text(|at, size| unsafe { raw::map_get(self.0, name.as_ptr(), name.len(), at, size) }).ok().flatten()
    }

    /// The last value of a name, in a buffer of the caller's; `None` if there is
    /// none or the buffer is too small for it.
    pub fn get_into<'a>(self, name: &str, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let need = unsafe { raw::map_get(self.0, name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
        fit(need, buffer)
    }

    /// Reports whether there is a name.
    pub fn has(self, name: &str) -> bool {
        unsafe { raw::map_get(self.0, name.as_ptr(), name.len(), core::ptr::null_mut(), 0) >= 0 }
    }

    /// How many entries there are.
    pub fn len(self) -> usize {
        unsafe { raw::map_count(self.0) }.max(0) as usize
    }

    /// Reports whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The entries, in the order of arrival.
    #[cfg(feature = "alloc")]
    pub fn entries(self) -> impl Iterator<Item = (String, String)> {
        (0..).map_while(move |i| {
            let lengths = unsafe { raw::map_entry(self.0, i, core::ptr::null_mut(), 0, core::ptr::null_mut(), 0) };
            if lengths < 0 {
                return None;
            }
            let (mut name, mut value) = (vec![0; (lengths >> 32) as usize], vec![0; lengths as u32 as usize]);
            unsafe { raw::map_entry(self.0, i, name.as_mut_ptr(), name.len(), value.as_mut_ptr(), value.len()) };
            Some((String::from_utf8_lossy(&name).into_owned(), String::from_utf8_lossy(&value).into_owned()))
        })
    }

    /// Sets a name to one value, whatever it had.
    pub fn set(self, name: &str, value: &str) -> Result<()> {
        check(unsafe { raw::map_set(self.0, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })?;
        Ok(())
    }

    /// Adds a value.
    pub fn add(self, name: &str, value: &str) -> Result<()> {
        check(unsafe { raw::map_add(self.0, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })?;
        Ok(())
    }

    /// Removes all values of a name and returns how many there were.
    pub fn remove(self, name: &str) -> Result<usize> {
        Ok(check(unsafe { raw::map_del(self.0, name.as_ptr(), name.len()) })? as usize)
    }
}

fn fit(need: i32, buffer: &mut [u8]) -> Option<&[u8]> {
    if need < 0 {
        return None;
    }
    buffer.get(..need as usize)
}

/// Content. Whoever reads it waits for it; whoever doesn't never does.
#[derive(Clone, Copy, Debug)]
pub struct Body(pub(crate) i32);

impl Body {
    /// Its length in bytes.
    pub fn len(self) -> Result<usize> {
        Ok(check(unsafe { raw::body_len(self.0) })? as usize)
    }

    /// Reads the next bytes; 0 is the end.
    pub fn read(self, buffer: &mut [u8]) -> Result<usize> {
        Ok(check(unsafe { raw::body_read(self.0, buffer.as_mut_ptr(), buffer.len()) })? as usize)
    }

    /// Reads all that is left.
    #[cfg(feature = "alloc")]
    pub fn read_all(self) -> Result<Vec<u8>> {
        let mut all = vec![0; self.len()?];
        let mut got = 0;
        while got < all.len() {
            match self.read(&mut all[got..])? {
                0 => break,
                n => got += n,
            }
        }
        all.truncate(got);
        Ok(all)
    }

    /// Reads all that is left, as text.
    #[cfg(feature = "alloc")]
    pub fn text(self) -> Result<String> {
        String::from_utf8(self.read_all()?).map_err(|_| Error::text("the content isn't UTF-8"))
    }

    /// Adds to the new content.
    pub fn write(self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        check(unsafe { raw::body_write(self.0, data.as_ptr(), data.len()) })?;
        Ok(())
    }

    /// Makes data the whole new content.
    pub fn set(self, data: impl AsRef<[u8]>) -> Result<()> {
        check(unsafe { raw::body_reset(self.0) })?;
        self.write(data)
    }
}

/// Some content on its way. What isn't written goes on as it is; what is written
/// goes on in place of the piece. What a later piece needs to know belongs into the
/// request's bag, or is held back by `keep`.
#[derive(Clone, Copy, Debug)]
pub struct Piece;

impl Piece {
    /// Its length in bytes.
    pub fn len(self) -> usize {
        unsafe { raw::chunk_len() }.max(0) as usize
    }

    /// Reports whether it has none, which only the last one may.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Reports whether the content ends with it.
    pub fn is_last(self) -> bool {
        unsafe { raw::chunk_last() == 1 }
    }

    /// Reads its next bytes; 0 is the end.
    pub fn read(self, buffer: &mut [u8]) -> Result<usize> {
        Ok(check(unsafe { raw::chunk_read(buffer.as_mut_ptr(), buffer.len()) })? as usize)
    }

    /// Reads it whole, once.
    #[cfg(feature = "alloc")]
    pub fn bytes(self) -> Result<Vec<u8>> {
        let mut all = vec![0; self.len()];
        let n = self.read(&mut all)?;
        all.truncate(n);
        Ok(all)
    }

    /// Adds to what goes on in its place, at most 1 MiB.
    pub fn write(self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        check(unsafe { raw::chunk_write(data.as_ptr(), data.len()) })?;
        Ok(())
    }

    /// Holds back its last bytes: the next piece begins with them.
    pub fn keep(self, bytes: usize) -> Result<()> {
        check(unsafe { raw::chunk_keep(bytes as i32) })?;
        Ok(())
    }
}

/// The request's content as it comes, in the role integrate.
#[derive(Clone, Copy, Debug)]
pub struct Incoming;

impl Incoming {
    /// Waits for the next bytes; 0 is the end.
    pub fn read(self, buffer: &mut [u8]) -> Result<usize> {
        Ok(check(unsafe { raw::chunk_read(buffer.as_mut_ptr(), buffer.len()) })? as usize)
    }
}

/// The answer's content as it is made, in the role integrate.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing;

impl Outgoing {
    /// Sends data and waits until the client takes it. The first one, even of nothing,
    /// sends status and headers before, which can't be changed from then on.
    pub fn write(self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        check(unsafe { raw::chunk_write(data.as_ptr(), data.len()) })?;
        Ok(())
    }
}

#[cfg(feature = "alloc")]
fn field(number: i32) -> String {
    read_text(|at, size| unsafe { raw::field_get(number, at, size) }).ok().flatten().unwrap_or_default()
}

fn set_field(number: i32, value: &str) -> Result<()> {
    check(unsafe { raw::field_set(number, value.as_ptr(), value.len()) })?;
    Ok(())
}

macro_rules! fields {
    ($($(#[$doc:meta])+ $name:ident = $number:ident;)+) => {
        $($(#[$doc])+ #[cfg(feature = "alloc")] pub fn $name(self) -> String { field(raw::$number) })+
    };
}

/// The client's request. Each method asks the gateway for just what it returns.
#[derive(Clone, Copy, Debug)]
pub struct Request;

/// A TXT record that is to be put into a DNS zone, or removed.
#[derive(Clone, Copy, Debug)]
pub struct Record;

impl Record {
    fields! {
        /// "present" or "cleanup".
        action = FIELD_RECORD_ACTION;
        /// The zone, without a dot at its end.
        zone = FIELD_RECORD_ZONE;
        /// The name with that of the zone, without a dot at its end.
        name = FIELD_RECORD_NAME;
        /// The record's text.
        value = FIELD_RECORD_VALUE;
        /// How long others may keep it, in seconds.
        ttl = FIELD_RECORD_TTL;
    }
}

impl Request {
    fields! {
        /// The effective verb.
        method = FIELD_METHOD;
        /// The path after stage or base path, as sent.
        path = FIELD_PATH;
        /// The path with stage or base path, as sent.
        full_path = FIELD_FULL_PATH;
        /// The query without "?", as sent.
        raw_query = FIELD_RAW_QUERY;
        /// The route, as "GET /pets/{id}".
        route_key = FIELD_ROUTE_KEY;
        /// The resource, as "/pets/{id}".
        resource = FIELD_RESOURCE;
        /// The stage's name.
        stage = FIELD_STAGE;
        /// The API's id.
        api_id = FIELD_API_ID;
        /// The request's id.
        id = FIELD_REQUEST_ID;
        /// The client's address.
        source_ip = FIELD_SOURCE_IP;
        /// The client's protocol, as "HTTP/1.1".
        protocol = FIELD_PROTOCOL;
        /// The host that the client named, in lower case, without port.
        host = FIELD_HOST;
        /// "http" or "https".
        scheme = FIELD_SCHEME;
        /// The whole host name by which the request came in, or that a certificate is
        /// wanted for.
        domain_name = FIELD_DOMAIN_NAME;
        /// Who calls, as the authorizer found out.
        principal = FIELD_PRINCIPAL;
        /// The ARN of the called method.
        method_arn = FIELD_METHOD_ARN;
    }

    /// A field by its number in [`raw`], empty for an unknown one.
    #[cfg(feature = "alloc")]
    pub fn field(self, number: i32) -> String {
        field(number)
    }

    /// A field in a buffer of the caller's; `None` if it doesn't fit.
    pub fn field_into(self, number: i32, buffer: &mut [u8]) -> Option<&[u8]> {
        fit(unsafe { raw::field_get(number, buffer.as_mut_ptr(), buffer.len()) }, buffer)
    }

    /// The last value of a header, without regard to case.
    #[cfg(feature = "alloc")]
    pub fn header(self, name: &str) -> Option<String> {
        self.headers().get(name)
    }

    /// The headers.
    pub fn headers(self) -> Map {
        Map(raw::MAP_HEADERS)
    }

    /// The query's parameters, decoded.
    pub fn query(self) -> Map {
        Map(raw::MAP_QUERY)
    }

    /// The path's parameters, decoded.
    pub fn path_params(self) -> Map {
        Map(raw::MAP_PATH_PARAMS)
    }

    /// The stage's variables.
    pub fn stage_variables(self) -> Map {
        Map(raw::MAP_STAGE_VARIABLES)
    }

    /// What the authorizer has found out.
    pub fn context(self) -> Map {
        Map(raw::MAP_CONTEXT)
    }

    /// What this plugin keeps from call to call about the same request.
    pub fn bag(self) -> Map {
        Map(raw::MAP_BAG)
    }

    /// The content.
    pub fn body(self) -> Body {
        Body(raw::BODY_REQUEST)
    }

    /// The content as it comes, in the role integrate. A plugin that uses `body` or the
    /// event gets it all at once.
    pub fn incoming(self) -> Incoming {
        Incoming
    }

    /// AWS's proxy event, as JSON.
    #[cfg(feature = "alloc")]
    pub fn event(self) -> Result<Vec<u8>> {
        Ok(read(|at, size| unsafe { raw::event_read(at, size) })?.unwrap_or_default())
    }

    /// Sets the query, without "?".
    pub fn set_raw_query(self, query: &str) -> Result<()> {
        set_field(raw::FIELD_RAW_QUERY, query)
    }

    /// Says who calls, in the role authorize.
    pub fn set_principal(self, id: &str) -> Result<()> {
        check(unsafe { raw::principal_set(id.as_ptr(), id.len()) })?;
        Ok(())
    }

    /// Sets an entry of the authorizer's context, in the role authorize.
    pub fn set_context(self, name: &str, value: &str) -> Result<()> {
        check(unsafe { raw::context_set(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })?;
        Ok(())
    }

    /// What a client that is refused is told, in the roles authorize, validate and
    /// request_body.
    pub fn set_message(self, text: &str) -> Result<()> {
        set_field(raw::FIELD_MESSAGE, text)
    }
}

/// What the client gets.
#[derive(Clone, Copy, Debug)]
pub struct Response;

impl Response {
    fields! {
        /// The backend's status; empty when there was no answer.
        backend_status = FIELD_BACKEND_STATUS;
        /// The gateway response type when the gateway itself answers, else empty.
        fault = FIELD_FAULT;
    }

    /// The status.
    #[cfg(feature = "alloc")]
    pub fn status(self) -> u16 {
        field(raw::FIELD_STATUS).parse().unwrap_or(0)
    }

    /// Sets the status, from 200 to 599.
    pub fn set_status(self, status: u16) -> Result<()> {
        let digits = [b'0' + (status / 100 % 10) as u8, b'0' + (status / 10 % 10) as u8, b'0' + (status % 10) as u8];
        check(unsafe { raw::field_set(raw::FIELD_STATUS, digits.as_ptr(), digits.len()) })?;
        Ok(())
    }

    /// The headers.
    pub fn headers(self) -> Map {
        Map(raw::MAP_RESPONSE_HEADERS)
    }

    /// The headers of the backend's answer.
    pub fn backend_headers(self) -> Map {
        Map(raw::MAP_BACKEND_RESPONSE_HEADERS)
    }

    /// The content.
    pub fn body(self) -> Body {
        Body(raw::BODY_RESPONSE)
    }

    /// The content as it is made, in the role integrate: what is written is sent.
    pub fn outgoing(self) -> Outgoing {
        Outgoing
    }

    /// Makes up a whole answer.
    pub fn reply(self, status: u16, content_type: &str, content: impl AsRef<[u8]>) -> Result<()> {
        self.set_status(status)?;
        self.headers().set("content-type", content_type)?;
        self.body().set(content)
    }

    /// Makes up a whole answer and asks the gateway for it, in the role request.
    pub fn answer(self, status: u16, content_type: &str, content: impl AsRef<[u8]>) -> Result<crate::Verdict> {
        self.reply(status, content_type, content)?;
        Ok(crate::Verdict::Answer)
    }

    /// Answers with AWS's proxy response as JSON, in the role integrate.
    pub fn write_result(self, answer: impl AsRef<[u8]>) -> Result<()> {
        let answer = answer.as_ref();
        check(unsafe { raw::result_write(answer.as_ptr(), answer.len()) })?;
        Ok(())
    }
}

/// What goes to the backend.
#[derive(Clone, Copy, Debug)]
pub struct Backend;

impl Backend {
    fields! {
        /// The verb.
        method = FIELD_BACKEND_METHOD;
        /// Path and query, encoded.
        target = FIELD_BACKEND_TARGET;
        /// The Host.
        host = FIELD_BACKEND_HOST;
    }

    /// Sets the verb.
    pub fn set_method(self, method: &str) -> Result<()> {
        set_field(raw::FIELD_BACKEND_METHOD, method)
    }

    /// Sets path and query, encoded.
    pub fn set_target(self, target: &str) -> Result<()> {
        set_field(raw::FIELD_BACKEND_TARGET, target)
    }

    /// Sets the Host; who is connected to stays the same.
    pub fn set_host(self, host: &str) -> Result<()> {
        set_field(raw::FIELD_BACKEND_HOST, host)
    }

    /// The headers.
    pub fn headers(self) -> Map {
        Map(raw::MAP_BACKEND_HEADERS)
    }

    /// The content.
    pub fn body(self) -> Body {
        Body(raw::BODY_BACKEND)
    }
}

/// Calls f with the plugin's config.
#[cfg(feature = "alloc")]
pub(crate) fn with_config<T>(f: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let config = read_text(|at, size| unsafe { raw::config_read(at, size) })?;
    f(config.as_deref().unwrap_or("{}"))
}

/// Calls f with the plugin's config, of at most 4 KiB.
#[cfg(not(feature = "alloc"))]
pub(crate) fn with_config<T>(f: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let mut buffer = [0u8; 4096];
    let need = check(unsafe { raw::config_read(buffer.as_mut_ptr(), buffer.len()) })?;
    let config = buffer.get(..need as usize).ok_or(Error::text("the config is longer than 4 KiB"))?;
    f(core::str::from_utf8(config).map_err(|_| Error::text("the config isn't UTF-8"))?)
}
