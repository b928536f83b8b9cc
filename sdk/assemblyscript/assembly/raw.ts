// Code generated from sdk/abi by `go test ./sdk/abi -update`. DO NOT EDIT.

// The functions and numbers of postern's plugin ABI as they are. A result below 0 is one of the
// codes. A function that fills a buffer returns the length that is needed, and writes nothing
// if that is more than the size.

// The version that a guest returns from its export Version: major<<16 | minor. A host takes
// guests of its own major version whose minor isn't above its own.
export const MAJOR: i32 = 1;
export const MINOR: i32 = 2; // 1: the roles dns and certify; 2: content in pieces
export const VERSION: i32 = 65538;

// Roles are the bits of what ExportRoles returns.
export const ROLE_AUTHORIZE: i32 = 1;
export const ROLE_INTEGRATE: i32 = 2;
export const ROLE_REQUEST: i32 = 4;
export const ROLE_RESPONSE: i32 = 8;
export const ROLE_MAP_REQUEST: i32 = 16;
export const ROLE_MAP_RESPONSE: i32 = 32;
export const ROLE_VALIDATE: i32 = 64;
export const ROLE_DNS: i32 = 128;
export const ROLE_CERTIFY: i32 = 256;
export const ROLE_REQUEST_BODY: i32 = 512;
export const ROLE_RESPONSE_BODY: i32 = 1024;

// Decisions are what ExportAuthorize and ExportCertify return; any other number is a failure.
// Zero is none of them, so that nobody is let in by an accident.
export const ALLOW: i32 = 1;
export const DENY: i32 = 2;
export const UNAUTHENTICATED: i32 = 3;

// Verdicts are what ExportRequest, ExportResponse, ExportRequestBody and ExportResponseBody
// return; any other number is a failure.
export const CONTINUE: i32 = 1;
export const ANSWER: i32 = 2; // ExportRequest only: the gateway answers with what the guest has set
export const REFUSE: i32 = 3; // ExportRequestBody only: 403, unless the client has an answer already

// Judgements are what ExportValidate returns; any other number is a failure.
export const VALID: i32 = 1;
export const INVALID_BODY: i32 = 2; // 400, BAD_REQUEST_BODY
export const INVALID_PARAMETERS: i32 = 3; // 400, BAD_REQUEST_PARAMETERS

// Codes are negative results of host functions; zero and above is success. An address range
// outside of the guest's memory isn't a code: it traps.
export const OK: i32 = 0;
export const NOT_FOUND: i32 = -1; // there is no such field, name or index
export const DENIED: i32 = -2; // neither the configuration nor the rules of HTTP allow it
export const WRONG_PHASE: i32 = -3; // not in this role
export const BAD_ARGUMENT: i32 = -4; // an unknown number, or text that isn't UTF-8 or malformed
export const LIMIT: i32 = -5; // more than the limits allow
export const UNAVAILABLE: i32 = -6; // whoever was asked couldn't be reached or didn't answer properly
export const DEADLINE: i32 = -7; // whoever was asked took too long

// Levels are the numbers for log and log_enabled.
export const LEVEL_DEBUG: i32 = 0;
export const LEVEL_INFO: i32 = 1;
export const LEVEL_WARN: i32 = 2;
export const LEVEL_ERROR: i32 = 3;

// Limits of one call, in bytes unless another unit is named.
export const MAX_PRINCIPAL: i32 = 2048;
export const MAX_CONTEXT_ENTRIES: i32 = 64; // entries
export const MAX_CONTEXT: i32 = 16384; // names and values together
export const MAX_RESULT: i32 = 10485760; // AWS allows a payload of 10 MB
export const MAX_LOG_LINE: i32 = 4096; // what is longer is cut
export const MAX_LOG_LINES: i32 = 64; // lines
export const MAX_RANDOM: i32 = 65536; // of one request for random bytes
export const MAX_FAILURE: i32 = 1024; // what is longer is cut
export const MAX_FIELDS: i32 = 200; // header fields that a call adds to a message
export const MAX_FIELD_TEXT: i32 = 65536; // names and values of the header fields that a call adds to a message
export const MAX_MESSAGE: i32 = 1024; // text for a client that is refused
export const MAX_BAG: i32 = 16384; // names and values together
export const MAX_BAG_ENTRIES: i32 = 64; // entries
export const MAX_BODY: i32 = 10485760; // content that one call writes
export const MAX_PIECE: i32 = 1048576; // content that a call about a piece holds back, and that it writes
export const MAX_HELD: i32 = 256; // expressions, keys and documents with numbers, of each
export const MAX_PATTERN: i32 = 4096; // of a regular expression
export const MAX_PROGRAM: i32 = 20000; // instructions of its program
export const MAX_WORK: i32 = 50000000; // what host functions compute and copy for a call, in nanoseconds at most

// Fields are the numbers for field_get and field_set.
export const FIELD_METHOD: i32 = 1; // The effective verb.
export const FIELD_PATH: i32 = 2; // The path after stage or base path, as sent.
export const FIELD_FULL_PATH: i32 = 3; // The path with stage or base path, as sent.
export const FIELD_RAW_QUERY: i32 = 4; // The query without "?", as sent.
export const FIELD_ROUTE_KEY: i32 = 5; // The route, as "GET /pets/{id}".
export const FIELD_RESOURCE: i32 = 6; // The resource, as "/pets/{id}".
export const FIELD_STAGE: i32 = 7; // The stage's name.
export const FIELD_API_ID: i32 = 8; // The API's id.
export const FIELD_REQUEST_ID: i32 = 9; // The request's id.
export const FIELD_SOURCE_IP: i32 = 10; // The client's address.
export const FIELD_PROTOCOL: i32 = 11; // The client's protocol, as "HTTP/1.1".
export const FIELD_HOST: i32 = 12; // The host that the client named, in lower case, without port.
export const FIELD_SCHEME: i32 = 13; // "http" or "https".
export const FIELD_PRINCIPAL: i32 = 14; // Who calls, as the authorizer found out.
export const FIELD_ACCOUNT_ID: i32 = 15; // The account id that ARNs name.
export const FIELD_REGION: i32 = 16; // The region that ARNs name.
export const FIELD_DOMAIN_NAME: i32 = 17; // The whole host name by which the request came in, or that a certificate is wanted for.
export const FIELD_METHOD_ARN: i32 = 18; // The ARN of the called method.
export const FIELD_STATUS: i32 = 19; // The status for the client, three digits from 200 to 599. Whoever answers and sets none answers 200.
export const FIELD_MESSAGE: i32 = 20; // What a client that is refused is told; at most 1 KiB of text.
export const FIELD_FAULT: i32 = 21; // The gateway response type when the gateway itself answers, as "THROTTLED"; else empty.
export const FIELD_BACKEND_METHOD: i32 = 22; // The verb for the backend.
export const FIELD_BACKEND_TARGET: i32 = 23; // Path and query for the backend, encoded.
export const FIELD_BACKEND_HOST: i32 = 24; // The Host for the backend. It doesn't change who is connected to.
export const FIELD_BACKEND_STATUS: i32 = 25; // The backend's status; empty when there was no answer.
export const FIELD_RECORD_ACTION: i32 = 26; // "present" or "cleanup".
export const FIELD_RECORD_ZONE: i32 = 27; // The zone that the record goes into, without a dot at its end.
export const FIELD_RECORD_NAME: i32 = 28; // The record's name with that of the zone, without a dot at its end.
export const FIELD_RECORD_VALUE: i32 = 29; // The record's text.
export const FIELD_RECORD_TTL: i32 = 30; // How long others may keep it, in seconds.

// Maps are the numbers for the functions map_….
export const MAP_HEADERS: i32 = 1; // Request headers, names without regard to case. Hidden are fields of the connection, what AWS drops, and what a client can't say of itself (X-Forwarded-For, Forwarded, …).
export const MAP_QUERY: i32 = 2; // Query parameters, decoded; they end at "&" and ";".
export const MAP_PATH_PARAMS: i32 = 3; // Path parameters, decoded.
export const MAP_STAGE_VARIABLES: i32 = 4; // Stage variables.
export const MAP_CONTEXT: i32 = 5; // What the authorizer has found out.
export const MAP_RESPONSE_HEADERS: i32 = 6; // Headers for the client: of the answer that is under way, or of the guest's own.
export const MAP_BAG: i32 = 7; // What plugins have kept for later calls about the same request, each plugin for itself.
export const MAP_BACKEND_HEADERS: i32 = 8; // Headers for the backend.
export const MAP_BACKEND_RESPONSE_HEADERS: i32 = 9; // Headers of the backend's answer.

// Bodies are the numbers for the functions body_….
export const BODY_REQUEST: i32 = 1; // The request's content.
export const BODY_RESPONSE: i32 = 2; // The content for the client.
export const BODY_BACKEND: i32 = 3; // The content for the backend.

// Algorithms are the numbers for hash and hmac.
export const MD5: i32 = 1;
export const SHA1: i32 = 2;
export const SHA256: i32 = 3;
export const SHA384: i32 = 4;
export const SHA512: i32 = 5;

// Signatures are the numbers for verify, named as in RFC 7518 and RFC 8037.
export const RS256: i32 = 1;
export const RS384: i32 = 2;
export const RS512: i32 = 3;
export const PS256: i32 = 4;
export const PS384: i32 = 5;
export const PS512: i32 = 6;
export const ES256: i32 = 7;
export const ES384: i32 = 8;
export const ES512: i32 = 9;
export const EDDSA: i32 = 10;

// Metrics are the numbers for define.
export const COUNTER: i32 = 1;
export const GAUGE: i32 = 2;
export const HISTOGRAM: i32 = 3;

// Codings are the numbers for encode and decode.
export const BASE64: i32 = 1; // RFC 4648, 4, padded; decoding takes it without padding too
export const BASE64_URL: i32 = 2; // RFC 4648, 5, not padded; decoding takes padding too
export const HEX: i32 = 3;
export const PERCENT: i32 = 4; // RFC 3986, 2.1: all but unreserved characters
export const FORM: i32 = 5; // percent, with "+" for a space

// Documents are what open takes besides the numbers of bodies.
export const DOCUMENT_EVENT: i32 = 0; // AWS's event, as event_read gives it

// Kinds are what the function kind returns.
export const KIND_NULL: i32 = 1;
export const KIND_BOOLEAN: i32 = 2;
export const KIND_NUMBER: i32 = 3;
export const KIND_STRING: i32 = 4;
export const KIND_ARRAY: i32 = 5;
export const KIND_OBJECT: i32 = 6;

// Reads a field. Returns: length.
// @ts-ignore: decorator
@external("postern_v1", "field_get")
export declare function field_get(field: i32, buffer: usize, buffer_size: usize): i32;

// Changes a field.
// @ts-ignore: decorator
@external("postern_v1", "field_set")
export declare function field_set(field: i32, value: usize, value_len: usize): i32;

// Counts the entries of a map. Returns: entries.
// @ts-ignore: decorator
@external("postern_v1", "map_count")
export declare function map_count(map: i32): i32;

// Reads the value of a name, the last one of several. Returns: length.
// @ts-ignore: decorator
@external("postern_v1", "map_get")
export declare function map_get(map: i32, name: usize, name_len: usize, buffer: usize, buffer_size: usize): i32;

// Reads an entry, in the order of arrival; each of the two parts is written if it fits.
// Returns: length of the name × 2^32 + length of the value.
// @ts-ignore: decorator
@external("postern_v1", "map_entry")
export declare function map_entry(map: i32, index: i32, name: usize, name_size: usize, value: usize, value_size: usize): i64;

// Sets a name to one value, whatever it had.
// @ts-ignore: decorator
@external("postern_v1", "map_set")
export declare function map_set(map: i32, name: usize, name_len: usize, value: usize, value_len: usize): i32;

// Adds a value; in the bag it is map_set.
// @ts-ignore: decorator
@external("postern_v1", "map_add")
export declare function map_add(map: i32, name: usize, name_len: usize, value: usize, value_len: usize): i32;

// Removes all values of a name. Returns: how many.
// @ts-ignore: decorator
@external("postern_v1", "map_del")
export declare function map_del(map: i32, name: usize, name_len: usize): i32;

// Tells how long the content is that body_read reads. Returns: length.
// @ts-ignore: decorator
@external("postern_v1", "body_len")
export declare function body_len(body: i32): i32;

// Reads the next bytes of the content as it was when the call began. Returns: bytes read, 0 at
// the end.
// @ts-ignore: decorator
@external("postern_v1", "body_read")
export declare function body_read(body: i32, buffer: usize, buffer_size: usize): i32;

// Adds to the new content. The first write of a call begins it; without one the content stays
// as it is.
// @ts-ignore: decorator
@external("postern_v1", "body_write")
export declare function body_write(body: i32, data: usize, data_len: usize): i32;

// Makes the new content empty and has body_read begin again.
// @ts-ignore: decorator
@external("postern_v1", "body_reset")
export declare function body_reset(body: i32): i32;

// Tells how long the piece of content is that the call is about. Since 1.2. Returns: bytes.
// @ts-ignore: decorator
@external("postern_v1", "chunk_len")
export declare function chunk_len(): i32;

// Tells whether the content ends with the piece. Since 1.2. Returns: 1 or 0.
// @ts-ignore: decorator
@external("postern_v1", "chunk_last")
export declare function chunk_last(): i32;

// Reads the next bytes of the piece; in the role integrate those of the request's content,
// which it waits for. Since 1.2. Returns: bytes read, 0 at the end.
// @ts-ignore: decorator
@external("postern_v1", "chunk_read")
export declare function chunk_read(buffer: usize, buffer_size: usize): i32;

// Adds to what goes on in place of the piece; without a write that is the piece itself. In the
// role integrate it sends content to the client, and waits until that takes it: the first one
// sends status and headers before, even if it has no bytes. Since 1.2.
// @ts-ignore: decorator
@external("postern_v1", "chunk_write")
export declare function chunk_write(data: usize, data_len: usize): i32;

// Holds back the last bytes of the piece: the next one begins with them. -2 for more than the
// piece has, and for the last piece. Since 1.2.
// @ts-ignore: decorator
@external("postern_v1", "chunk_keep")
export declare function chunk_keep(bytes: i32): i32;

// Says who calls; counts if the decision is allow. At most 2 KiB.
// @ts-ignore: decorator
@external("postern_v1", "principal_set")
export declare function principal_set(principal: usize, principal_len: usize): i32;

// Sets an entry of the authorizer's context. At most 64 entries and 16 KiB.
// @ts-ignore: decorator
@external("postern_v1", "context_set")
export declare function context_set(name: usize, name_len: usize, value: usize, value_len: usize): i32;

// Reads AWS's REST proxy event as JSON. Returns: length.
// @ts-ignore: decorator
@external("postern_v1", "event_read")
export declare function event_read(buffer: usize, buffer_size: usize): i32;

// Sets the answer: AWS's proxy response as JSON, at most 10 MiB; the last one counts.
// @ts-ignore: decorator
@external("postern_v1", "result_write")
export declare function result_write(answer: usize, answer_len: usize): i32;

// Reads the plugin's config as JSON, {} without one. Returns: length.
// @ts-ignore: decorator
@external("postern_v1", "config_read")
export declare function config_read(buffer: usize, buffer_size: usize): i32;

// Writes a log line.
// @ts-ignore: decorator
@external("postern_v1", "log")
export declare function log(level: i32, text: usize, text_len: usize): i32;

// Tells whether a level is kept. Returns: 1 or 0.
// @ts-ignore: decorator
@external("postern_v1", "log_enabled")
export declare function log_enabled(level: i32): i32;

// Reads the gateway's clock. Returns: nanoseconds since 1970.
// @ts-ignore: decorator
@external("postern_v1", "time")
export declare function time(): i64;

// Fills the buffer, at most 64 KiB, from the system's random numbers.
// @ts-ignore: decorator
@external("postern_v1", "random")
export declare function random(buffer: usize, buffer_size: usize): i32;

// Tells how long it is until the call is stopped; 0 when it is over. Returns: nanoseconds.
// @ts-ignore: decorator
@external("postern_v1", "deadline_left")
export declare function deadline_left(): i64;

// Makes the call fail, whatever it returns; code and text go to the log.
// @ts-ignore: decorator
@external("postern_v1", "fail")
export declare function fail(code: i32, text: usize, text_len: usize): i32;

// Begins a request and doesn't wait. headers has a line for each, Name: value, ended by \n.
// timeout is in nanoseconds, until the end of the answer; 0 for the configuration's. What is
// under way when the call ends is broken off. Returns: a request's number, above 0.
// @ts-ignore: decorator
@external("postern_v1_http", "send")
export declare function http_send(method: usize, method_len: usize, url: usize, url_len: usize, headers: usize, headers_len: usize, body: usize, body_len: usize, timeout: i64): i32;

// Waits for the head of the answer.
// @ts-ignore: decorator
@external("postern_v1_http", "wait")
export declare function http_wait(request: i32): i32;

// Tells the answer's status; waits for it. Returns: status.
// @ts-ignore: decorator
@external("postern_v1_http", "status")
export declare function http_status(request: i32): i32;

// Reads the last value of a header of the answer; waits for it. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_http", "header")
export declare function http_header(request: i32, name: usize, name_len: usize, buffer: usize, buffer_size: usize): i32;

// Reads a header of the answer, in the order of their names; waits for it. Returns: length of
// the name × 2^32 + length of the value.
// @ts-ignore: decorator
@external("postern_v1_http", "header_entry")
export declare function http_header_entry(request: i32, index: i32, name: usize, name_size: usize, value: usize, value_size: usize): i64;

// Reads the next bytes of the answer's content; waits for them. Returns: bytes read, 0 at the
// end.
// @ts-ignore: decorator
@external("postern_v1_http", "read")
export declare function http_read(request: i32, buffer: usize, buffer_size: usize): i32;

// Reads a value. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_kv", "get")
export declare function kv_get(key: usize, key_len: usize, buffer: usize, buffer_size: usize): i32;

// Sets a value for ttl nanoseconds; 0 is for as long as there is room.
// @ts-ignore: decorator
@external("postern_v1_kv", "set")
export declare function kv_set(key: usize, key_len: usize, value: usize, value_len: usize, ttl: i64): i32;

// Removes a value or a counter.
// @ts-ignore: decorator
@external("postern_v1_kv", "delete")
export declare function kv_delete(key: usize, key_len: usize): i32;

// Adds to a counter, which begins at 0 and never goes below. ttl counts from its beginning.
// Returns: the counter's new value.
// @ts-ignore: decorator
@external("postern_v1_kv", "add")
export declare function kv_add(key: usize, key_len: usize, delta: i64, ttl: i64): i64;

// Sets a value if it still is old; an empty old means that there is none. Returns: 1 if it was
// set, 0 if the value isn't old.
// @ts-ignore: decorator
@external("postern_v1_kv", "cas")
export declare function kv_cas(key: usize, key_len: usize, old: usize, old_len: usize, value: usize, value_len: usize, ttl: i64): i32;

// Computes a digest: 1 MD5, 2 SHA-1, 3 SHA-256, 4 SHA-384, 5 SHA-512. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_crypto", "hash")
export declare function crypto_hash(algorithm: i32, data: usize, data_len: usize, buffer: usize, buffer_size: usize): i32;

// Computes an HMAC with one of these digests. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_crypto", "hmac")
export declare function crypto_hmac(algorithm: i32, key: usize, key_len: usize, data: usize, data_len: usize, buffer: usize, buffer_size: usize): i32;

// Reads public keys: a JWK, a JWK set, or PEM. Before the first request it lasts as long as the
// instance, else as long as the call. Returns: a key's number, above 0.
// @ts-ignore: decorator
@external("postern_v1_crypto", "key_load")
export declare function crypto_key_load(key: usize, key_len: usize): i32;

// Checks a signature: 1 to 3 RS256 to RS512, 4 to 6 PS256 to PS512, 7 to 9 ES256 to ES512 (r
// and s as JOSE has them), 10 EdDSA. Returns: 1 if it is right, else 0.
// @ts-ignore: decorator
@external("postern_v1_crypto", "verify")
export declare function crypto_verify(key: i32, signature: i32, data: usize, data_len: usize, mark: usize, mark_len: usize): i32;

// Checks a token's signature, exp and nbf, and reads its claims as JSON; -2 when it isn't good.
// Returns: length of the claims.
// @ts-ignore: decorator
@external("postern_v1_crypto", "jwt_verify")
export declare function crypto_jwt_verify(key: i32, token: usize, token_len: usize, buffer: usize, buffer_size: usize): i32;

// Compares in a time that doesn't depend on the content. Returns: 1 or 0.
// @ts-ignore: decorator
@external("postern_v1_crypto", "equal")
export declare function crypto_equal(one: usize, one_len: usize, other: usize, other_len: usize): i32;

// Parses a body (1 request, 2 response, 3 backend) or the event (0). Returns: a document's
// number, above 0.
// @ts-ignore: decorator
@external("postern_v1_json", "open")
export declare function json_open(body: i32): i32;

// Parses the guest's own bytes. Returns: a document's number, above 0.
// @ts-ignore: decorator
@external("postern_v1_json", "parse")
export declare function json_parse(text: usize, text_len: usize): i32;

// Tells what stands at a path: 1 null, 2 boolean, 3 number, 4 string, 5 array, 6 object.
// Returns: kind.
// @ts-ignore: decorator
@external("postern_v1_json", "kind")
export declare function json_kind(document: i32, path: usize, path_len: usize): i32;

// Counts the elements of an array or the members of an object. Returns: how many.
// @ts-ignore: decorator
@external("postern_v1_json", "count")
export declare function json_count(document: i32, path: usize, path_len: usize): i32;

// Reads what stands at a path: a string's text, anything else as JSON. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_json", "get")
export declare function json_get(document: i32, path: usize, path_len: usize, buffer: usize, buffer_size: usize): i32;

// Reads the name of an object's member. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_json", "name")
export declare function json_name(document: i32, path: usize, path_len: usize, index: i32, buffer: usize, buffer_size: usize): i32;

// Puts a value, as JSON, at a path; members on the way are made.
// @ts-ignore: decorator
@external("postern_v1_json", "set")
export declare function json_set(document: i32, path: usize, path_len: usize, value: usize, value_len: usize): i32;

// Removes what stands at a path.
// @ts-ignore: decorator
@external("postern_v1_json", "delete")
export declare function json_delete(document: i32, path: usize, path_len: usize): i32;

// Writes the document as JSON. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_json", "write")
export declare function json_write(document: i32, buffer: usize, buffer_size: usize): i32;

// Makes the document the new content of a body.
// @ts-ignore: decorator
@external("postern_v1_json", "write_body")
export declare function json_write_body(document: i32, body: i32): i32;

// Names a metric: 1 counter, 2 gauge, 3 histogram. Letters, digits and _, at most 64; no ending
// that Prometheus gives a meaning, such as _total. The same name gives the same number.
// Returns: a metric's number, above 0.
// @ts-ignore: decorator
@external("postern_v1_metric", "define")
export declare function metric_define(kind: i32, name: usize, name_len: usize): i32;

// Adds to a counter or a gauge.
// @ts-ignore: decorator
@external("postern_v1_metric", "add")
export declare function metric_add(metric: i32, delta: i64): i32;

// Sets a gauge.
// @ts-ignore: decorator
@external("postern_v1_metric", "set")
export declare function metric_set(metric: i32, value: i64): i32;

// Puts a value into a histogram, whose buckets are 1, 2, 5, 10, … 10,000,000.
// @ts-ignore: decorator
@external("postern_v1_metric", "observe")
export declare function metric_observe(metric: i32, value: i64): i32;

// Compiles an expression. Before the first request it lasts as long as the instance, else as
// long as the call. Returns: an expression's number, above 0.
// @ts-ignore: decorator
@external("postern_v1_text", "regex")
export declare function text_regex(pattern: usize, pattern_len: usize): i32;

// Tells whether an expression is found in a text. Returns: 1 or 0.
// @ts-ignore: decorator
@external("postern_v1_text", "match")
export declare function text_match(regex: i32, text: usize, text_len: usize): i32;

// Reads a group of the first place where it is found; 0 is all of it. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_text", "find")
export declare function text_find(regex: i32, text: usize, text_len: usize, group: i32, buffer: usize, buffer_size: usize): i32;

// Writes the text with each place replaced; $1 in by is a group. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_text", "replace")
export declare function text_replace(regex: i32, text: usize, text_len: usize, by: usize, by_len: usize, buffer: usize, buffer_size: usize): i32;

// Encodes: 1 base64, 2 base64url, 3 hex, 4 percent, 5 form. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_text", "encode")
export declare function text_encode(coding: i32, data: usize, data_len: usize, buffer: usize, buffer_size: usize): i32;

// Decodes one of these. Returns: length.
// @ts-ignore: decorator
@external("postern_v1_text", "decode")
export declare function text_decode(coding: i32, text: usize, text_len: usize, buffer: usize, buffer_size: usize): i32;
