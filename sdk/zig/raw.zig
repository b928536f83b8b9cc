// Code generated from sdk/abi by `go test ./sdk/abi -update`. DO NOT EDIT.

//! The functions and numbers of postern's plugin ABI as they are. A result below 0 is one of
//! the codes. A function that fills a buffer returns the length that is needed, and writes
//! nothing if that is more than the size.

// The version that a guest returns from its export Version: major<<16 | minor. A host takes
// guests of its own major version whose minor isn't above its own.
pub const MAJOR: i32 = 1;
pub const MINOR: i32 = 2; // 1: the roles dns and certify; 2: content in pieces
pub const VERSION: i32 = 65538;

// Roles are the bits of what ExportRoles returns.
pub const ROLE_AUTHORIZE: i32 = 1;
pub const ROLE_INTEGRATE: i32 = 2;
pub const ROLE_REQUEST: i32 = 4;
pub const ROLE_RESPONSE: i32 = 8;
pub const ROLE_MAP_REQUEST: i32 = 16;
pub const ROLE_MAP_RESPONSE: i32 = 32;
pub const ROLE_VALIDATE: i32 = 64;
pub const ROLE_DNS: i32 = 128;
pub const ROLE_CERTIFY: i32 = 256;
pub const ROLE_REQUEST_BODY: i32 = 512;
pub const ROLE_RESPONSE_BODY: i32 = 1024;

// Decisions are what ExportAuthorize and ExportCertify return; any other number is a failure.
// Zero is none of them, so that nobody is let in by an accident.
pub const ALLOW: i32 = 1;
pub const DENY: i32 = 2;
pub const UNAUTHENTICATED: i32 = 3;

// Verdicts are what ExportRequest, ExportResponse, ExportRequestBody and ExportResponseBody
// return; any other number is a failure.
pub const CONTINUE: i32 = 1;
pub const ANSWER: i32 = 2; // ExportRequest only: the gateway answers with what the guest has set
pub const REFUSE: i32 = 3; // ExportRequestBody only: 403, unless the client has an answer already

// Judgements are what ExportValidate returns; any other number is a failure.
pub const VALID: i32 = 1;
pub const INVALID_BODY: i32 = 2; // 400, BAD_REQUEST_BODY
pub const INVALID_PARAMETERS: i32 = 3; // 400, BAD_REQUEST_PARAMETERS

// Codes are negative results of host functions; zero and above is success. An address range
// outside of the guest's memory isn't a code: it traps.
pub const OK: i32 = 0;
pub const NOT_FOUND: i32 = -1; // there is no such field, name or index
pub const DENIED: i32 = -2; // neither the configuration nor the rules of HTTP allow it
pub const WRONG_PHASE: i32 = -3; // not in this role
pub const BAD_ARGUMENT: i32 = -4; // an unknown number, or text that isn't UTF-8 or malformed
pub const LIMIT: i32 = -5; // more than the limits allow
pub const UNAVAILABLE: i32 = -6; // whoever was asked couldn't be reached or didn't answer properly
pub const DEADLINE: i32 = -7; // whoever was asked took too long

// Levels are the numbers for log and log_enabled.
pub const LEVEL_DEBUG: i32 = 0;
pub const LEVEL_INFO: i32 = 1;
pub const LEVEL_WARN: i32 = 2;
pub const LEVEL_ERROR: i32 = 3;

// Limits of one call, in bytes unless another unit is named.
pub const MAX_PRINCIPAL: i32 = 2048;
pub const MAX_CONTEXT_ENTRIES: i32 = 64; // entries
pub const MAX_CONTEXT: i32 = 16384; // names and values together
pub const MAX_RESULT: i32 = 10485760; // AWS allows a payload of 10 MB
pub const MAX_LOG_LINE: i32 = 4096; // what is longer is cut
pub const MAX_LOG_LINES: i32 = 64; // lines
pub const MAX_RANDOM: i32 = 65536; // of one request for random bytes
pub const MAX_FAILURE: i32 = 1024; // what is longer is cut
pub const MAX_FIELDS: i32 = 200; // header fields that a call adds to a message
pub const MAX_FIELD_TEXT: i32 = 65536; // names and values of the header fields that a call adds to a message
pub const MAX_MESSAGE: i32 = 1024; // text for a client that is refused
pub const MAX_BAG: i32 = 16384; // names and values together
pub const MAX_BAG_ENTRIES: i32 = 64; // entries
pub const MAX_BODY: i32 = 10485760; // content that one call writes
pub const MAX_PIECE: i32 = 1048576; // content that a call about a piece holds back, and that it writes
pub const MAX_HELD: i32 = 256; // expressions, keys and documents with numbers, of each
pub const MAX_PATTERN: i32 = 4096; // of a regular expression
pub const MAX_PROGRAM: i32 = 20000; // instructions of its program
pub const MAX_WORK: i32 = 50000000; // what host functions compute and copy for a call, in nanoseconds at most

// Fields are the numbers for field_get and field_set.
pub const FIELD_METHOD: i32 = 1; // The effective verb.
pub const FIELD_PATH: i32 = 2; // The path after stage or base path, as sent.
pub const FIELD_FULL_PATH: i32 = 3; // The path with stage or base path, as sent.
pub const FIELD_RAW_QUERY: i32 = 4; // The query without "?", as sent.
pub const FIELD_ROUTE_KEY: i32 = 5; // The route, as "GET /pets/{id}".
pub const FIELD_RESOURCE: i32 = 6; // The resource, as "/pets/{id}".
pub const FIELD_STAGE: i32 = 7; // The stage's name.
pub const FIELD_API_ID: i32 = 8; // The API's id.
pub const FIELD_REQUEST_ID: i32 = 9; // The request's id.
pub const FIELD_SOURCE_IP: i32 = 10; // The client's address.
pub const FIELD_PROTOCOL: i32 = 11; // The client's protocol, as "HTTP/1.1".
pub const FIELD_HOST: i32 = 12; // The host that the client named, in lower case, without port.
pub const FIELD_SCHEME: i32 = 13; // "http" or "https".
pub const FIELD_PRINCIPAL: i32 = 14; // Who calls, as the authorizer found out.
pub const FIELD_ACCOUNT_ID: i32 = 15; // The account id that ARNs name.
pub const FIELD_REGION: i32 = 16; // The region that ARNs name.
pub const FIELD_DOMAIN_NAME: i32 = 17; // The whole host name by which the request came in, or that a certificate is wanted for.
pub const FIELD_METHOD_ARN: i32 = 18; // The ARN of the called method.
pub const FIELD_STATUS: i32 = 19; // The status for the client, three digits from 200 to 599. Whoever answers and sets none answers 200.
pub const FIELD_MESSAGE: i32 = 20; // What a client that is refused is told; at most 1 KiB of text.
pub const FIELD_FAULT: i32 = 21; // The gateway response type when the gateway itself answers, as "THROTTLED"; else empty.
pub const FIELD_BACKEND_METHOD: i32 = 22; // The verb for the backend.
pub const FIELD_BACKEND_TARGET: i32 = 23; // Path and query for the backend, encoded.
pub const FIELD_BACKEND_HOST: i32 = 24; // The Host for the backend. It doesn't change who is connected to.
pub const FIELD_BACKEND_STATUS: i32 = 25; // The backend's status; empty when there was no answer.
pub const FIELD_RECORD_ACTION: i32 = 26; // "present" or "cleanup".
pub const FIELD_RECORD_ZONE: i32 = 27; // The zone that the record goes into, without a dot at its end.
pub const FIELD_RECORD_NAME: i32 = 28; // The record's name with that of the zone, without a dot at its end.
pub const FIELD_RECORD_VALUE: i32 = 29; // The record's text.
pub const FIELD_RECORD_TTL: i32 = 30; // How long others may keep it, in seconds.

// Maps are the numbers for the functions map_….
pub const MAP_HEADERS: i32 = 1; // Request headers, names without regard to case. Hidden are fields of the connection, what AWS drops, and what a client can't say of itself (X-Forwarded-For, Forwarded, …).
pub const MAP_QUERY: i32 = 2; // Query parameters, decoded; they end at "&" and ";".
pub const MAP_PATH_PARAMS: i32 = 3; // Path parameters, decoded.
pub const MAP_STAGE_VARIABLES: i32 = 4; // Stage variables.
pub const MAP_CONTEXT: i32 = 5; // What the authorizer has found out.
pub const MAP_RESPONSE_HEADERS: i32 = 6; // Headers for the client: of the answer that is under way, or of the guest's own.
pub const MAP_BAG: i32 = 7; // What plugins have kept for later calls about the same request, each plugin for itself.
pub const MAP_BACKEND_HEADERS: i32 = 8; // Headers for the backend.
pub const MAP_BACKEND_RESPONSE_HEADERS: i32 = 9; // Headers of the backend's answer.

// Bodies are the numbers for the functions body_….
pub const BODY_REQUEST: i32 = 1; // The request's content.
pub const BODY_RESPONSE: i32 = 2; // The content for the client.
pub const BODY_BACKEND: i32 = 3; // The content for the backend.

// Algorithms are the numbers for hash and hmac.
pub const MD5: i32 = 1;
pub const SHA1: i32 = 2;
pub const SHA256: i32 = 3;
pub const SHA384: i32 = 4;
pub const SHA512: i32 = 5;

// Signatures are the numbers for verify, named as in RFC 7518 and RFC 8037.
pub const RS256: i32 = 1;
pub const RS384: i32 = 2;
pub const RS512: i32 = 3;
pub const PS256: i32 = 4;
pub const PS384: i32 = 5;
pub const PS512: i32 = 6;
pub const ES256: i32 = 7;
pub const ES384: i32 = 8;
pub const ES512: i32 = 9;
pub const EDDSA: i32 = 10;

// Metrics are the numbers for define.
pub const COUNTER: i32 = 1;
pub const GAUGE: i32 = 2;
pub const HISTOGRAM: i32 = 3;

// Codings are the numbers for encode and decode.
pub const BASE64: i32 = 1; // RFC 4648, 4, padded; decoding takes it without padding too
pub const BASE64_URL: i32 = 2; // RFC 4648, 5, not padded; decoding takes padding too
pub const HEX: i32 = 3;
pub const PERCENT: i32 = 4; // RFC 3986, 2.1: all but unreserved characters
pub const FORM: i32 = 5; // percent, with "+" for a space

// Documents are what open takes besides the numbers of bodies.
pub const DOCUMENT_EVENT: i32 = 0; // AWS's event, as event_read gives it

// Kinds are what the function kind returns.
pub const KIND_NULL: i32 = 1;
pub const KIND_BOOLEAN: i32 = 2;
pub const KIND_NUMBER: i32 = 3;
pub const KIND_STRING: i32 = 4;
pub const KIND_ARRAY: i32 = 5;
pub const KIND_OBJECT: i32 = 6;

/// postern_v1: Every native plugin may call these.
pub const core = struct {
    /// Reads a field. Returns: length.
    pub extern "postern_v1" fn field_get(field: i32, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Changes a field.
    pub extern "postern_v1" fn field_set(field: i32, value_ptr: [*]const u8, value_len: usize) i32;
    /// Counts the entries of a map. Returns: entries.
    pub extern "postern_v1" fn map_count(map: i32) i32;
    /// Reads the value of a name, the last one of several. Returns: length.
    pub extern "postern_v1" fn map_get(map: i32, name_ptr: [*]const u8, name_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Reads an entry, in the order of arrival; each of the two parts is written if it fits.
    /// Returns: length of the name × 2^32 + length of the value.
    pub extern "postern_v1" fn map_entry(map: i32, index: i32, name_ptr: [*]u8, name_size: usize, value_ptr: [*]u8, value_size: usize) i64;
    /// Sets a name to one value, whatever it had.
    pub extern "postern_v1" fn map_set(map: i32, name_ptr: [*]const u8, name_len: usize, value_ptr: [*]const u8, value_len: usize) i32;
    /// Adds a value; in the bag it is map_set.
    pub extern "postern_v1" fn map_add(map: i32, name_ptr: [*]const u8, name_len: usize, value_ptr: [*]const u8, value_len: usize) i32;
    /// Removes all values of a name. Returns: how many.
    pub extern "postern_v1" fn map_del(map: i32, name_ptr: [*]const u8, name_len: usize) i32;
    /// Tells how long the content is that body_read reads. Returns: length.
    pub extern "postern_v1" fn body_len(body: i32) i32;
    /// Reads the next bytes of the content as it was when the call began. Returns: bytes read,
    /// 0 at the end.
    pub extern "postern_v1" fn body_read(body: i32, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Adds to the new content. The first write of a call begins it; without one the content
    /// stays as it is.
    pub extern "postern_v1" fn body_write(body: i32, data_ptr: [*]const u8, data_len: usize) i32;
    /// Makes the new content empty and has body_read begin again.
    pub extern "postern_v1" fn body_reset(body: i32) i32;
    /// Tells how long the piece of content is that the call is about. Since 1.2. Returns:
    /// bytes.
    pub extern "postern_v1" fn chunk_len() i32;
    /// Tells whether the content ends with the piece. Since 1.2. Returns: 1 or 0.
    pub extern "postern_v1" fn chunk_last() i32;
    /// Reads the next bytes of the piece; in the role integrate those of the request's content,
    /// which it waits for. Since 1.2. Returns: bytes read, 0 at the end.
    pub extern "postern_v1" fn chunk_read(buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Adds to what goes on in place of the piece; without a write that is the piece itself. In
    /// the role integrate it sends content to the client, and waits until that takes it: the
    /// first one sends status and headers before, even if it has no bytes. Since 1.2.
    pub extern "postern_v1" fn chunk_write(data_ptr: [*]const u8, data_len: usize) i32;
    /// Holds back the last bytes of the piece: the next one begins with them. -2 for more than
    /// the piece has, and for the last piece. Since 1.2.
    pub extern "postern_v1" fn chunk_keep(bytes: i32) i32;
    /// Says who calls; counts if the decision is allow. At most 2 KiB.
    pub extern "postern_v1" fn principal_set(principal_ptr: [*]const u8, principal_len: usize) i32;
    /// Sets an entry of the authorizer's context. At most 64 entries and 16 KiB.
    pub extern "postern_v1" fn context_set(name_ptr: [*]const u8, name_len: usize, value_ptr: [*]const u8, value_len: usize) i32;
    /// Reads AWS's REST proxy event as JSON. Returns: length.
    pub extern "postern_v1" fn event_read(buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Sets the answer: AWS's proxy response as JSON, at most 10 MiB; the last one counts.
    pub extern "postern_v1" fn result_write(answer_ptr: [*]const u8, answer_len: usize) i32;
    /// Reads the plugin's config as JSON, {} without one. Returns: length.
    pub extern "postern_v1" fn config_read(buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Writes a log line.
    pub extern "postern_v1" fn log(level: i32, text_ptr: [*]const u8, text_len: usize) i32;
    /// Tells whether a level is kept. Returns: 1 or 0.
    pub extern "postern_v1" fn log_enabled(level: i32) i32;
    /// Reads the gateway's clock. Returns: nanoseconds since 1970.
    pub extern "postern_v1" fn time() i64;
    /// Fills the buffer, at most 64 KiB, from the system's random numbers.
    pub extern "postern_v1" fn random(buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Tells how long it is until the call is stopped; 0 when it is over. Returns: nanoseconds.
    pub extern "postern_v1" fn deadline_left() i64;
    /// Makes the call fail, whatever it returns; code and text go to the log.
    pub extern "postern_v1" fn fail(code: i32, text_ptr: [*]const u8, text_len: usize) i32;
};

/// postern_v1_http: Requests to other servers, to those that the configuration names. Several
/// may be under way at once: send them all, then wait.
pub const http = struct {
    /// Begins a request and doesn't wait. headers has a line for each, Name: value, ended by
    /// \n. timeout is in nanoseconds, until the end of the answer; 0 for the configuration's.
    /// What is under way when the call ends is broken off. Returns: a request's number, above
    /// 0.
    pub extern "postern_v1_http" fn send(method_ptr: [*]const u8, method_len: usize, url_ptr: [*]const u8, url_len: usize, headers_ptr: [*]const u8, headers_len: usize, body_ptr: [*]const u8, body_len: usize, timeout: i64) i32;
    /// Waits for the head of the answer.
    pub extern "postern_v1_http" fn wait(request: i32) i32;
    /// Tells the answer's status; waits for it. Returns: status.
    pub extern "postern_v1_http" fn status(request: i32) i32;
    /// Reads the last value of a header of the answer; waits for it. Returns: length.
    pub extern "postern_v1_http" fn header(request: i32, name_ptr: [*]const u8, name_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Reads a header of the answer, in the order of their names; waits for it. Returns: length
    /// of the name × 2^32 + length of the value.
    pub extern "postern_v1_http" fn header_entry(request: i32, index: i32, name_ptr: [*]u8, name_size: usize, value_ptr: [*]u8, value_size: usize) i64;
    /// Reads the next bytes of the answer's content; waits for them. Returns: bytes read, 0 at
    /// the end.
    pub extern "postern_v1_http" fn read(request: i32, buffer_ptr: [*]u8, buffer_size: usize) i32;
};

/// postern_v1_kv: Values and counters that outlive a call and that all instances share.
pub const kv = struct {
    /// Reads a value. Returns: length.
    pub extern "postern_v1_kv" fn get(key_ptr: [*]const u8, key_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Sets a value for ttl nanoseconds; 0 is for as long as there is room.
    pub extern "postern_v1_kv" fn set(key_ptr: [*]const u8, key_len: usize, value_ptr: [*]const u8, value_len: usize, ttl: i64) i32;
    /// Removes a value or a counter.
    pub extern "postern_v1_kv" fn delete(key_ptr: [*]const u8, key_len: usize) i32;
    /// Adds to a counter, which begins at 0 and never goes below. ttl counts from its
    /// beginning. Returns: the counter's new value.
    pub extern "postern_v1_kv" fn add(key_ptr: [*]const u8, key_len: usize, delta: i64, ttl: i64) i64;
    /// Sets a value if it still is old; an empty old means that there is none. Returns: 1 if it
    /// was set, 0 if the value isn't old.
    pub extern "postern_v1_kv" fn cas(key_ptr: [*]const u8, key_len: usize, old_ptr: [*]const u8, old_len: usize, value_ptr: [*]const u8, value_len: usize, ttl: i64) i32;
};

/// postern_v1_crypto: Digests, signatures and tokens at the speed of the gateway's own code.
pub const crypto = struct {
    /// Computes a digest: 1 MD5, 2 SHA-1, 3 SHA-256, 4 SHA-384, 5 SHA-512. Returns: length.
    pub extern "postern_v1_crypto" fn hash(algorithm: i32, data_ptr: [*]const u8, data_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Computes an HMAC with one of these digests. Returns: length.
    pub extern "postern_v1_crypto" fn hmac(algorithm: i32, key_ptr: [*]const u8, key_len: usize, data_ptr: [*]const u8, data_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Reads public keys: a JWK, a JWK set, or PEM. Before the first request it lasts as long
    /// as the instance, else as long as the call. Returns: a key's number, above 0.
    pub extern "postern_v1_crypto" fn key_load(key_ptr: [*]const u8, key_len: usize) i32;
    /// Checks a signature: 1 to 3 RS256 to RS512, 4 to 6 PS256 to PS512, 7 to 9 ES256 to ES512
    /// (r and s as JOSE has them), 10 EdDSA. Returns: 1 if it is right, else 0.
    pub extern "postern_v1_crypto" fn verify(key: i32, signature: i32, data_ptr: [*]const u8, data_len: usize, mark_ptr: [*]const u8, mark_len: usize) i32;
    /// Checks a token's signature, exp and nbf, and reads its claims as JSON; -2 when it isn't
    /// good. Returns: length of the claims.
    pub extern "postern_v1_crypto" fn jwt_verify(key: i32, token_ptr: [*]const u8, token_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Compares in a time that doesn't depend on the content. Returns: 1 or 0.
    pub extern "postern_v1_crypto" fn equal(one_ptr: [*]const u8, one_len: usize, other_ptr: [*]const u8, other_len: usize) i32;
};

/// postern_v1_json: Reading and changing JSON without parsing it in the guest. A path is $,
/// .name, ['name'] and [index].
pub const json = struct {
    /// Parses a body (1 request, 2 response, 3 backend) or the event (0). Returns: a document's
    /// number, above 0.
    pub extern "postern_v1_json" fn open(body: i32) i32;
    /// Parses the guest's own bytes. Returns: a document's number, above 0.
    pub extern "postern_v1_json" fn parse(text_ptr: [*]const u8, text_len: usize) i32;
    /// Tells what stands at a path: 1 null, 2 boolean, 3 number, 4 string, 5 array, 6 object.
    /// Returns: kind.
    pub extern "postern_v1_json" fn kind(document: i32, path_ptr: [*]const u8, path_len: usize) i32;
    /// Counts the elements of an array or the members of an object. Returns: how many.
    pub extern "postern_v1_json" fn count(document: i32, path_ptr: [*]const u8, path_len: usize) i32;
    /// Reads what stands at a path: a string's text, anything else as JSON. Returns: length.
    pub extern "postern_v1_json" fn get(document: i32, path_ptr: [*]const u8, path_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Reads the name of an object's member. Returns: length.
    pub extern "postern_v1_json" fn name(document: i32, path_ptr: [*]const u8, path_len: usize, index: i32, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Puts a value, as JSON, at a path; members on the way are made.
    pub extern "postern_v1_json" fn set(document: i32, path_ptr: [*]const u8, path_len: usize, value_ptr: [*]const u8, value_len: usize) i32;
    /// Removes what stands at a path.
    pub extern "postern_v1_json" fn delete(document: i32, path_ptr: [*]const u8, path_len: usize) i32;
    /// Writes the document as JSON. Returns: length.
    pub extern "postern_v1_json" fn write(document: i32, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Makes the document the new content of a body.
    pub extern "postern_v1_json" fn write_body(document: i32, body: i32) i32;
};

/// postern_v1_metric: Figures for the gateway's metrics page.
pub const metric = struct {
    /// Names a metric: 1 counter, 2 gauge, 3 histogram. Letters, digits and _, at most 64; no
    /// ending that Prometheus gives a meaning, such as _total. The same name gives the same
    /// number. Returns: a metric's number, above 0.
    pub extern "postern_v1_metric" fn define(kind_number: i32, name_ptr: [*]const u8, name_len: usize) i32;
    /// Adds to a counter or a gauge.
    pub extern "postern_v1_metric" fn add(metric_number: i32, delta: i64) i32;
    /// Sets a gauge.
    pub extern "postern_v1_metric" fn set(metric_number: i32, value: i64) i32;
    /// Puts a value into a histogram, whose buckets are 1, 2, 5, 10, … 10,000,000.
    pub extern "postern_v1_metric" fn observe(metric_number: i32, value: i64) i32;
};

/// postern_v1_text: Regular expressions (RE2) and encodings.
pub const text = struct {
    /// Compiles an expression. Before the first request it lasts as long as the instance, else
    /// as long as the call. Returns: an expression's number, above 0.
    pub extern "postern_v1_text" fn regex(pattern_ptr: [*]const u8, pattern_len: usize) i32;
    /// Tells whether an expression is found in a text. Returns: 1 or 0.
    pub extern "postern_v1_text" fn match(regex_number: i32, text_ptr: [*]const u8, text_len: usize) i32;
    /// Reads a group of the first place where it is found; 0 is all of it. Returns: length.
    pub extern "postern_v1_text" fn find(regex_number: i32, text_ptr: [*]const u8, text_len: usize, group: i32, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Writes the text with each place replaced; $1 in by is a group. Returns: length.
    pub extern "postern_v1_text" fn replace(regex_number: i32, text_ptr: [*]const u8, text_len: usize, by_ptr: [*]const u8, by_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Encodes: 1 base64, 2 base64url, 3 hex, 4 percent, 5 form. Returns: length.
    pub extern "postern_v1_text" fn encode(coding: i32, data_ptr: [*]const u8, data_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
    /// Decodes one of these. Returns: length.
    pub extern "postern_v1_text" fn decode(coding: i32, text_ptr: [*]const u8, text_len: usize, buffer_ptr: [*]u8, buffer_size: usize) i32;
};
