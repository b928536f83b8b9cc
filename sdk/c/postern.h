// Code generated from sdk/abi by `go test ./sdk/abi -update`. DO NOT EDIT.
//
// The functions and numbers of postern's plugin ABI, for C and C++ with --target=wasm32
// (clang). A result below 0 is one of the codes. A function that fills a buffer returns the
// length that is needed, and writes nothing if that is more than the size.
#ifndef POSTERN_H
#define POSTERN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POSTERN_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
// An exported function of a plugin: POSTERN_EXPORT("postern_request") int32_t request(void) { … }
#define POSTERN_EXPORT(name) __attribute__((export_name(name)))

// The version that a guest returns from its export Version: major<<16 | minor. A host takes
// guests of its own major version whose minor isn't above its own.
#define POSTERN_MAJOR (1)
#define POSTERN_MINOR (2) // 1: the roles dns and certify; 2: content in pieces
#define POSTERN_VERSION (65538)

// Roles are the bits of what ExportRoles returns.
#define POSTERN_ROLE_AUTHORIZE (1)
#define POSTERN_ROLE_INTEGRATE (2)
#define POSTERN_ROLE_REQUEST (4)
#define POSTERN_ROLE_RESPONSE (8)
#define POSTERN_ROLE_MAP_REQUEST (16)
#define POSTERN_ROLE_MAP_RESPONSE (32)
#define POSTERN_ROLE_VALIDATE (64)
#define POSTERN_ROLE_DNS (128)
#define POSTERN_ROLE_CERTIFY (256)
#define POSTERN_ROLE_REQUEST_BODY (512)
#define POSTERN_ROLE_RESPONSE_BODY (1024)

// Decisions are what ExportAuthorize and ExportCertify return; any other number is a failure.
// Zero is none of them, so that nobody is let in by an accident.
#define POSTERN_ALLOW (1)
#define POSTERN_DENY (2)
#define POSTERN_UNAUTHENTICATED (3)

// Verdicts are what ExportRequest, ExportResponse, ExportRequestBody and ExportResponseBody
// return; any other number is a failure.
#define POSTERN_CONTINUE (1)
#define POSTERN_ANSWER (2) // ExportRequest only: the gateway answers with what the guest has set
#define POSTERN_REFUSE (3) // ExportRequestBody only: 403, unless the client has an answer already

// Judgements are what ExportValidate returns; any other number is a failure.
#define POSTERN_VALID (1)
#define POSTERN_INVALID_BODY (2) // 400, BAD_REQUEST_BODY
#define POSTERN_INVALID_PARAMETERS (3) // 400, BAD_REQUEST_PARAMETERS

// Codes are negative results of host functions; zero and above is success. An address range
// outside of the guest's memory isn't a code: it traps.
#define POSTERN_OK (0)
#define POSTERN_NOT_FOUND (-1) // there is no such field, name or index
#define POSTERN_DENIED (-2) // neither the configuration nor the rules of HTTP allow it
#define POSTERN_WRONG_PHASE (-3) // not in this role
#define POSTERN_BAD_ARGUMENT (-4) // an unknown number, or text that isn't UTF-8 or malformed
#define POSTERN_LIMIT (-5) // more than the limits allow
#define POSTERN_UNAVAILABLE (-6) // whoever was asked couldn't be reached or didn't answer properly
#define POSTERN_DEADLINE (-7) // whoever was asked took too long

// Levels are the numbers for log and log_enabled.
#define POSTERN_LEVEL_DEBUG (0)
#define POSTERN_LEVEL_INFO (1)
#define POSTERN_LEVEL_WARN (2)
#define POSTERN_LEVEL_ERROR (3)

// Limits of one call, in bytes unless another unit is named.
#define POSTERN_MAX_PRINCIPAL (2048)
#define POSTERN_MAX_CONTEXT_ENTRIES (64) // entries
#define POSTERN_MAX_CONTEXT (16384) // names and values together
#define POSTERN_MAX_RESULT (10485760) // AWS allows a payload of 10 MB
#define POSTERN_MAX_LOG_LINE (4096) // what is longer is cut
#define POSTERN_MAX_LOG_LINES (64) // lines
#define POSTERN_MAX_RANDOM (65536) // of one request for random bytes
#define POSTERN_MAX_FAILURE (1024) // what is longer is cut
#define POSTERN_MAX_FIELDS (200) // header fields that a call adds to a message
#define POSTERN_MAX_FIELD_TEXT (65536) // names and values of the header fields that a call adds to a message
#define POSTERN_MAX_MESSAGE (1024) // text for a client that is refused
#define POSTERN_MAX_BAG (16384) // names and values together
#define POSTERN_MAX_BAG_ENTRIES (64) // entries
#define POSTERN_MAX_BODY (10485760) // content that one call writes
#define POSTERN_MAX_PIECE (1048576) // content that a call about a piece holds back, and that it writes
#define POSTERN_MAX_HELD (256) // expressions, keys and documents with numbers, of each
#define POSTERN_MAX_PATTERN (4096) // of a regular expression
#define POSTERN_MAX_PROGRAM (20000) // instructions of its program
#define POSTERN_MAX_WORK (50000000) // what host functions compute and copy for a call, in nanoseconds at most

// Fields are the numbers for field_get and field_set.
#define POSTERN_FIELD_METHOD (1) // The effective verb.
#define POSTERN_FIELD_PATH (2) // The path after stage or base path, as sent.
#define POSTERN_FIELD_FULL_PATH (3) // The path with stage or base path, as sent.
#define POSTERN_FIELD_RAW_QUERY (4) // The query without "?", as sent.
#define POSTERN_FIELD_ROUTE_KEY (5) // The route, as "GET /pets/{id}".
#define POSTERN_FIELD_RESOURCE (6) // The resource, as "/pets/{id}".
#define POSTERN_FIELD_STAGE (7) // The stage's name.
#define POSTERN_FIELD_API_ID (8) // The API's id.
#define POSTERN_FIELD_REQUEST_ID (9) // The request's id.
#define POSTERN_FIELD_SOURCE_IP (10) // The client's address.
#define POSTERN_FIELD_PROTOCOL (11) // The client's protocol, as "HTTP/1.1".
#define POSTERN_FIELD_HOST (12) // The host that the client named, in lower case, without port.
#define POSTERN_FIELD_SCHEME (13) // "http" or "https".
#define POSTERN_FIELD_PRINCIPAL (14) // Who calls, as the authorizer found out.
#define POSTERN_FIELD_ACCOUNT_ID (15) // The account id that ARNs name.
#define POSTERN_FIELD_REGION (16) // The region that ARNs name.
#define POSTERN_FIELD_DOMAIN_NAME (17) // The whole host name by which the request came in, or that a certificate is wanted for.
#define POSTERN_FIELD_METHOD_ARN (18) // The ARN of the called method.
#define POSTERN_FIELD_STATUS (19) // The status for the client, three digits from 200 to 599. Whoever answers and sets none answers 200.
#define POSTERN_FIELD_MESSAGE (20) // What a client that is refused is told; at most 1 KiB of text.
#define POSTERN_FIELD_FAULT (21) // The gateway response type when the gateway itself answers, as "THROTTLED"; else empty.
#define POSTERN_FIELD_BACKEND_METHOD (22) // The verb for the backend.
#define POSTERN_FIELD_BACKEND_TARGET (23) // Path and query for the backend, encoded.
#define POSTERN_FIELD_BACKEND_HOST (24) // The Host for the backend. It doesn't change who is connected to.
#define POSTERN_FIELD_BACKEND_STATUS (25) // The backend's status; empty when there was no answer.
#define POSTERN_FIELD_RECORD_ACTION (26) // "present" or "cleanup".
#define POSTERN_FIELD_RECORD_ZONE (27) // The zone that the record goes into, without a dot at its end.
#define POSTERN_FIELD_RECORD_NAME (28) // The record's name with that of the zone, without a dot at its end.
#define POSTERN_FIELD_RECORD_VALUE (29) // The record's text.
#define POSTERN_FIELD_RECORD_TTL (30) // How long others may keep it, in seconds.

// Maps are the numbers for the functions map_….
#define POSTERN_MAP_HEADERS (1) // Request headers, names without regard to case. Hidden are fields of the connection, what AWS drops, and what a client can't say of itself (X-Forwarded-For, Forwarded, …).
#define POSTERN_MAP_QUERY (2) // Query parameters, decoded; they end at "&" and ";".
#define POSTERN_MAP_PATH_PARAMS (3) // Path parameters, decoded.
#define POSTERN_MAP_STAGE_VARIABLES (4) // Stage variables.
#define POSTERN_MAP_CONTEXT (5) // What the authorizer has found out.
#define POSTERN_MAP_RESPONSE_HEADERS (6) // Headers for the client: of the answer that is under way, or of the guest's own.
#define POSTERN_MAP_BAG (7) // What plugins have kept for later calls about the same request, each plugin for itself.
#define POSTERN_MAP_BACKEND_HEADERS (8) // Headers for the backend.
#define POSTERN_MAP_BACKEND_RESPONSE_HEADERS (9) // Headers of the backend's answer.

// Bodies are the numbers for the functions body_….
#define POSTERN_BODY_REQUEST (1) // The request's content.
#define POSTERN_BODY_RESPONSE (2) // The content for the client.
#define POSTERN_BODY_BACKEND (3) // The content for the backend.

// Algorithms are the numbers for hash and hmac.
#define POSTERN_MD5 (1)
#define POSTERN_SHA1 (2)
#define POSTERN_SHA256 (3)
#define POSTERN_SHA384 (4)
#define POSTERN_SHA512 (5)

// Signatures are the numbers for verify, named as in RFC 7518 and RFC 8037.
#define POSTERN_RS256 (1)
#define POSTERN_RS384 (2)
#define POSTERN_RS512 (3)
#define POSTERN_PS256 (4)
#define POSTERN_PS384 (5)
#define POSTERN_PS512 (6)
#define POSTERN_ES256 (7)
#define POSTERN_ES384 (8)
#define POSTERN_ES512 (9)
#define POSTERN_EDDSA (10)

// Metrics are the numbers for define.
#define POSTERN_COUNTER (1)
#define POSTERN_GAUGE (2)
#define POSTERN_HISTOGRAM (3)

// Codings are the numbers for encode and decode.
#define POSTERN_BASE64 (1) // RFC 4648, 4, padded; decoding takes it without padding too
#define POSTERN_BASE64_URL (2) // RFC 4648, 5, not padded; decoding takes padding too
#define POSTERN_HEX (3)
#define POSTERN_PERCENT (4) // RFC 3986, 2.1: all but unreserved characters
#define POSTERN_FORM (5) // percent, with "+" for a space

// Documents are what open takes besides the numbers of bodies.
#define POSTERN_DOCUMENT_EVENT (0) // AWS's event, as event_read gives it

// Kinds are what the function kind returns.
#define POSTERN_KIND_NULL (1)
#define POSTERN_KIND_BOOLEAN (2)
#define POSTERN_KIND_NUMBER (3)
#define POSTERN_KIND_STRING (4)
#define POSTERN_KIND_ARRAY (5)
#define POSTERN_KIND_OBJECT (6)

// postern_v1: Every native plugin may call these.

// Reads a field. Returns: length.
POSTERN_IMPORT("postern_v1", "field_get")
int32_t postern_field_get(int32_t field, void *buffer, size_t buffer_size);

// Changes a field.
POSTERN_IMPORT("postern_v1", "field_set")
int32_t postern_field_set(int32_t field, const char *value, size_t value_len);

// Counts the entries of a map. Returns: entries.
POSTERN_IMPORT("postern_v1", "map_count")
int32_t postern_map_count(int32_t map);

// Reads the value of a name, the last one of several. Returns: length.
POSTERN_IMPORT("postern_v1", "map_get")
int32_t postern_map_get(int32_t map, const char *name, size_t name_len, void *buffer, size_t buffer_size);

// Reads an entry, in the order of arrival; each of the two parts is written if it fits.
// Returns: length of the name × 2^32 + length of the value.
POSTERN_IMPORT("postern_v1", "map_entry")
int64_t postern_map_entry(int32_t map, int32_t index, void *name, size_t name_size, void *value, size_t value_size);

// Sets a name to one value, whatever it had.
POSTERN_IMPORT("postern_v1", "map_set")
int32_t postern_map_set(int32_t map, const char *name, size_t name_len, const char *value, size_t value_len);

// Adds a value; in the bag it is map_set.
POSTERN_IMPORT("postern_v1", "map_add")
int32_t postern_map_add(int32_t map, const char *name, size_t name_len, const char *value, size_t value_len);

// Removes all values of a name. Returns: how many.
POSTERN_IMPORT("postern_v1", "map_del")
int32_t postern_map_del(int32_t map, const char *name, size_t name_len);

// Tells how long the content is that body_read reads. Returns: length.
POSTERN_IMPORT("postern_v1", "body_len")
int32_t postern_body_len(int32_t body);

// Reads the next bytes of the content as it was when the call began. Returns: bytes read, 0 at
// the end.
POSTERN_IMPORT("postern_v1", "body_read")
int32_t postern_body_read(int32_t body, void *buffer, size_t buffer_size);

// Adds to the new content. The first write of a call begins it; without one the content stays
// as it is.
POSTERN_IMPORT("postern_v1", "body_write")
int32_t postern_body_write(int32_t body, const void *data, size_t data_len);

// Makes the new content empty and has body_read begin again.
POSTERN_IMPORT("postern_v1", "body_reset")
int32_t postern_body_reset(int32_t body);

// Tells how long the piece of content is that the call is about. Since 1.2. Returns: bytes.
POSTERN_IMPORT("postern_v1", "chunk_len")
int32_t postern_chunk_len(void);

// Tells whether the content ends with the piece. Since 1.2. Returns: 1 or 0.
POSTERN_IMPORT("postern_v1", "chunk_last")
int32_t postern_chunk_last(void);

// Reads the next bytes of the piece; in the role integrate those of the request's content,
// which it waits for. Since 1.2. Returns: bytes read, 0 at the end.
POSTERN_IMPORT("postern_v1", "chunk_read")
int32_t postern_chunk_read(void *buffer, size_t buffer_size);

// Adds to what goes on in place of the piece; without a write that is the piece itself. In the
// role integrate it sends content to the client, and waits until that takes it: the first one
// sends status and headers before, even if it has no bytes. Since 1.2.
POSTERN_IMPORT("postern_v1", "chunk_write")
int32_t postern_chunk_write(const void *data, size_t data_len);

// Holds back the last bytes of the piece: the next one begins with them. -2 for more than the
// piece has, and for the last piece. Since 1.2.
POSTERN_IMPORT("postern_v1", "chunk_keep")
int32_t postern_chunk_keep(int32_t bytes);

// Says who calls; counts if the decision is allow. At most 2 KiB.
POSTERN_IMPORT("postern_v1", "principal_set")
int32_t postern_principal_set(const char *principal, size_t principal_len);

// Sets an entry of the authorizer's context. At most 64 entries and 16 KiB.
POSTERN_IMPORT("postern_v1", "context_set")
int32_t postern_context_set(const char *name, size_t name_len, const char *value, size_t value_len);

// Reads AWS's REST proxy event as JSON. Returns: length.
POSTERN_IMPORT("postern_v1", "event_read")
int32_t postern_event_read(void *buffer, size_t buffer_size);

// Sets the answer: AWS's proxy response as JSON, at most 10 MiB; the last one counts.
POSTERN_IMPORT("postern_v1", "result_write")
int32_t postern_result_write(const void *answer, size_t answer_len);

// Reads the plugin's config as JSON, {} without one. Returns: length.
POSTERN_IMPORT("postern_v1", "config_read")
int32_t postern_config_read(void *buffer, size_t buffer_size);

// Writes a log line.
POSTERN_IMPORT("postern_v1", "log")
int32_t postern_log(int32_t level, const char *text, size_t text_len);

// Tells whether a level is kept. Returns: 1 or 0.
POSTERN_IMPORT("postern_v1", "log_enabled")
int32_t postern_log_enabled(int32_t level);

// Reads the gateway's clock. Returns: nanoseconds since 1970.
POSTERN_IMPORT("postern_v1", "time")
int64_t postern_time(void);

// Fills the buffer, at most 64 KiB, from the system's random numbers.
POSTERN_IMPORT("postern_v1", "random")
int32_t postern_random(void *buffer, size_t buffer_size);

// Tells how long it is until the call is stopped; 0 when it is over. Returns: nanoseconds.
POSTERN_IMPORT("postern_v1", "deadline_left")
int64_t postern_deadline_left(void);

// Makes the call fail, whatever it returns; code and text go to the log.
POSTERN_IMPORT("postern_v1", "fail")
int32_t postern_fail(int32_t code, const char *text, size_t text_len);

// postern_v1_http: Requests to other servers, to those that the configuration names. Several
// may be under way at once: send them all, then wait.

// Begins a request and doesn't wait. headers has a line for each, Name: value, ended by \n.
// timeout is in nanoseconds, until the end of the answer; 0 for the configuration's. What is
// under way when the call ends is broken off. Returns: a request's number, above 0.
POSTERN_IMPORT("postern_v1_http", "send")
int32_t postern_http_send(const char *method, size_t method_len, const char *url, size_t url_len, const char *headers, size_t headers_len, const void *body, size_t body_len, int64_t timeout);

// Waits for the head of the answer.
POSTERN_IMPORT("postern_v1_http", "wait")
int32_t postern_http_wait(int32_t request);

// Tells the answer's status; waits for it. Returns: status.
POSTERN_IMPORT("postern_v1_http", "status")
int32_t postern_http_status(int32_t request);

// Reads the last value of a header of the answer; waits for it. Returns: length.
POSTERN_IMPORT("postern_v1_http", "header")
int32_t postern_http_header(int32_t request, const char *name, size_t name_len, void *buffer, size_t buffer_size);

// Reads a header of the answer, in the order of their names; waits for it. Returns: length of
// the name × 2^32 + length of the value.
POSTERN_IMPORT("postern_v1_http", "header_entry")
int64_t postern_http_header_entry(int32_t request, int32_t index, void *name, size_t name_size, void *value, size_t value_size);

// Reads the next bytes of the answer's content; waits for them. Returns: bytes read, 0 at the
// end.
POSTERN_IMPORT("postern_v1_http", "read")
int32_t postern_http_read(int32_t request, void *buffer, size_t buffer_size);

// postern_v1_kv: Values and counters that outlive a call and that all instances share.

// Reads a value. Returns: length.
POSTERN_IMPORT("postern_v1_kv", "get")
int32_t postern_kv_get(const char *key, size_t key_len, void *buffer, size_t buffer_size);

// Sets a value for ttl nanoseconds; 0 is for as long as there is room.
POSTERN_IMPORT("postern_v1_kv", "set")
int32_t postern_kv_set(const char *key, size_t key_len, const void *value, size_t value_len, int64_t ttl);

// Removes a value or a counter.
POSTERN_IMPORT("postern_v1_kv", "delete")
int32_t postern_kv_delete(const char *key, size_t key_len);

// Adds to a counter, which begins at 0 and never goes below. ttl counts from its beginning.
// Returns: the counter's new value.
POSTERN_IMPORT("postern_v1_kv", "add")
int64_t postern_kv_add(const char *key, size_t key_len, int64_t delta, int64_t ttl);

// Sets a value if it still is old; an empty old means that there is none. Returns: 1 if it was
// set, 0 if the value isn't old.
POSTERN_IMPORT("postern_v1_kv", "cas")
int32_t postern_kv_cas(const char *key, size_t key_len, const void *old, size_t old_len, const void *value, size_t value_len, int64_t ttl);

// postern_v1_crypto: Digests, signatures and tokens at the speed of the gateway's own code.

// Computes a digest: 1 MD5, 2 SHA-1, 3 SHA-256, 4 SHA-384, 5 SHA-512. Returns: length.
POSTERN_IMPORT("postern_v1_crypto", "hash")
int32_t postern_crypto_hash(int32_t algorithm, const void *data, size_t data_len, void *buffer, size_t buffer_size);

// Computes an HMAC with one of these digests. Returns: length.
POSTERN_IMPORT("postern_v1_crypto", "hmac")
int32_t postern_crypto_hmac(int32_t algorithm, const void *key, size_t key_len, const void *data, size_t data_len, void *buffer, size_t buffer_size);

// Reads public keys: a JWK, a JWK set, or PEM. Before the first request it lasts as long as the
// instance, else as long as the call. Returns: a key's number, above 0.
POSTERN_IMPORT("postern_v1_crypto", "key_load")
int32_t postern_crypto_key_load(const char *key, size_t key_len);

// Checks a signature: 1 to 3 RS256 to RS512, 4 to 6 PS256 to PS512, 7 to 9 ES256 to ES512 (r
// and s as JOSE has them), 10 EdDSA. Returns: 1 if it is right, else 0.
POSTERN_IMPORT("postern_v1_crypto", "verify")
int32_t postern_crypto_verify(int32_t key, int32_t signature, const void *data, size_t data_len, const void *mark, size_t mark_len);

// Checks a token's signature, exp and nbf, and reads its claims as JSON; -2 when it isn't good.
// Returns: length of the claims.
POSTERN_IMPORT("postern_v1_crypto", "jwt_verify")
int32_t postern_crypto_jwt_verify(int32_t key, const char *token, size_t token_len, void *buffer, size_t buffer_size);

// Compares in a time that doesn't depend on the content. Returns: 1 or 0.
POSTERN_IMPORT("postern_v1_crypto", "equal")
int32_t postern_crypto_equal(const void *one, size_t one_len, const void *other, size_t other_len);

// postern_v1_json: Reading and changing JSON without parsing it in the guest. A path is $,
// .name, ['name'] and [index].

// Parses a body (1 request, 2 response, 3 backend) or the event (0). Returns: a document's
// number, above 0.
POSTERN_IMPORT("postern_v1_json", "open")
int32_t postern_json_open(int32_t body);

// Parses the guest's own bytes. Returns: a document's number, above 0.
POSTERN_IMPORT("postern_v1_json", "parse")
int32_t postern_json_parse(const void *text, size_t text_len);

// Tells what stands at a path: 1 null, 2 boolean, 3 number, 4 string, 5 array, 6 object.
// Returns: kind.
POSTERN_IMPORT("postern_v1_json", "kind")
int32_t postern_json_kind(int32_t document, const char *path, size_t path_len);

// Counts the elements of an array or the members of an object. Returns: how many.
POSTERN_IMPORT("postern_v1_json", "count")
int32_t postern_json_count(int32_t document, const char *path, size_t path_len);

// Reads what stands at a path: a string's text, anything else as JSON. Returns: length.
POSTERN_IMPORT("postern_v1_json", "get")
int32_t postern_json_get(int32_t document, const char *path, size_t path_len, void *buffer, size_t buffer_size);

// Reads the name of an object's member. Returns: length.
POSTERN_IMPORT("postern_v1_json", "name")
int32_t postern_json_name(int32_t document, const char *path, size_t path_len, int32_t index, void *buffer, size_t buffer_size);

// Puts a value, as JSON, at a path; members on the way are made.
POSTERN_IMPORT("postern_v1_json", "set")
int32_t postern_json_set(int32_t document, const char *path, size_t path_len, const char *value, size_t value_len);

// Removes what stands at a path.
POSTERN_IMPORT("postern_v1_json", "delete")
int32_t postern_json_delete(int32_t document, const char *path, size_t path_len);

// Writes the document as JSON. Returns: length.
POSTERN_IMPORT("postern_v1_json", "write")
int32_t postern_json_write(int32_t document, void *buffer, size_t buffer_size);

// Makes the document the new content of a body.
POSTERN_IMPORT("postern_v1_json", "write_body")
int32_t postern_json_write_body(int32_t document, int32_t body);

// postern_v1_metric: Figures for the gateway's metrics page.

// Names a metric: 1 counter, 2 gauge, 3 histogram. Letters, digits and _, at most 64; no ending
// that Prometheus gives a meaning, such as _total. The same name gives the same number.
// Returns: a metric's number, above 0.
POSTERN_IMPORT("postern_v1_metric", "define")
int32_t postern_metric_define(int32_t kind, const char *name, size_t name_len);

// Adds to a counter or a gauge.
POSTERN_IMPORT("postern_v1_metric", "add")
int32_t postern_metric_add(int32_t metric, int64_t delta);

// Sets a gauge.
POSTERN_IMPORT("postern_v1_metric", "set")
int32_t postern_metric_set(int32_t metric, int64_t value);

// Puts a value into a histogram, whose buckets are 1, 2, 5, 10, … 10,000,000.
POSTERN_IMPORT("postern_v1_metric", "observe")
int32_t postern_metric_observe(int32_t metric, int64_t value);

// postern_v1_text: Regular expressions (RE2) and encodings.

// Compiles an expression. Before the first request it lasts as long as the instance, else as
// long as the call. Returns: an expression's number, above 0.
POSTERN_IMPORT("postern_v1_text", "regex")
int32_t postern_text_regex(const char *pattern, size_t pattern_len);

// Tells whether an expression is found in a text. Returns: 1 or 0.
POSTERN_IMPORT("postern_v1_text", "match")
int32_t postern_text_match(int32_t regex, const char *text, size_t text_len);

// Reads a group of the first place where it is found; 0 is all of it. Returns: length.
POSTERN_IMPORT("postern_v1_text", "find")
int32_t postern_text_find(int32_t regex, const char *text, size_t text_len, int32_t group, void *buffer, size_t buffer_size);

// Writes the text with each place replaced; $1 in by is a group. Returns: length.
POSTERN_IMPORT("postern_v1_text", "replace")
int32_t postern_text_replace(int32_t regex, const char *text, size_t text_len, const char *by, size_t by_len, void *buffer, size_t buffer_size);

// Encodes: 1 base64, 2 base64url, 3 hex, 4 percent, 5 form. Returns: length.
POSTERN_IMPORT("postern_v1_text", "encode")
int32_t postern_text_encode(int32_t coding, const void *data, size_t data_len, void *buffer, size_t buffer_size);

// Decodes one of these. Returns: length.
POSTERN_IMPORT("postern_v1_text", "decode")
int32_t postern_text_decode(int32_t coding, const char *text, size_t text_len, void *buffer, size_t buffer_size);

#ifdef __cplusplus
}
#endif

#endif
