// Code generated from sdk/abi by `go test ./sdk/abi -update`. DO NOT EDIT.

//go:build wasip1

package postern

import "unsafe"

// Reads a field. Returns: length.
//
//go:wasmimport postern_v1 field_get
func rawFieldGet(field int32, buffer unsafe.Pointer, bufferLen uint32) int32

// Changes a field.
//
//go:wasmimport postern_v1 field_set
func rawFieldSet(field int32, value unsafe.Pointer, valueLen uint32) int32

// Counts the entries of a map. Returns: entries.
//
//go:wasmimport postern_v1 map_count
func rawMapCount(mapAt int32) int32

// Reads the value of a name, the last one of several. Returns: length.
//
//go:wasmimport postern_v1 map_get
func rawMapGet(mapAt int32, name unsafe.Pointer, nameLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Reads an entry, in the order of arrival; each of the two parts is written if it fits.
// Returns: length of the name × 2^32 + length of the value.
//
//go:wasmimport postern_v1 map_entry
func rawMapEntry(mapAt int32, index int32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int64

// Sets a name to one value, whatever it had.
//
//go:wasmimport postern_v1 map_set
func rawMapSet(mapAt int32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int32

// Adds a value; in the bag it is map_set.
//
//go:wasmimport postern_v1 map_add
func rawMapAdd(mapAt int32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int32

// Removes all values of a name. Returns: how many.
//
//go:wasmimport postern_v1 map_del
func rawMapDel(mapAt int32, name unsafe.Pointer, nameLen uint32) int32

// Tells how long the content is that body_read reads. Returns: length.
//
//go:wasmimport postern_v1 body_len
func rawBodyLen(body int32) int32

// Reads the next bytes of the content as it was when the call began. Returns: bytes read, 0 at
// the end.
//
//go:wasmimport postern_v1 body_read
func rawBodyRead(body int32, buffer unsafe.Pointer, bufferLen uint32) int32

// Adds to the new content. The first write of a call begins it; without one the content stays
// as it is.
//
//go:wasmimport postern_v1 body_write
func rawBodyWrite(body int32, data unsafe.Pointer, dataLen uint32) int32

// Makes the new content empty and has body_read begin again.
//
//go:wasmimport postern_v1 body_reset
func rawBodyReset(body int32) int32

// Tells how long the piece of content is that the call is about. Since 1.2. Returns: bytes.
//
//go:wasmimport postern_v1 chunk_len
func rawChunkLen() int32

// Tells whether the content ends with the piece. Since 1.2. Returns: 1 or 0.
//
//go:wasmimport postern_v1 chunk_last
func rawChunkLast() int32

// Reads the next bytes of the piece; in the role integrate those of the request's content,
// which it waits for. Since 1.2. Returns: bytes read, 0 at the end.
//
//go:wasmimport postern_v1 chunk_read
func rawChunkRead(buffer unsafe.Pointer, bufferLen uint32) int32

// Adds to what goes on in place of the piece; without a write that is the piece itself. In the
// role integrate it sends content to the client, and waits until that takes it: the first one
// sends status and headers before, even if it has no bytes. Since 1.2.
//
//go:wasmimport postern_v1 chunk_write
func rawChunkWrite(data unsafe.Pointer, dataLen uint32) int32

// Holds back the last bytes of the piece: the next one begins with them. -2 for more than the
// piece has, and for the last piece. Since 1.2.
//
//go:wasmimport postern_v1 chunk_keep
func rawChunkKeep(bytes int32) int32

// Says who calls; counts if the decision is allow. At most 2 KiB.
//
//go:wasmimport postern_v1 principal_set
func rawPrincipalSet(principal unsafe.Pointer, principalLen uint32) int32

// Sets an entry of the authorizer's context. At most 64 entries and 16 KiB.
//
//go:wasmimport postern_v1 context_set
func rawContextSet(name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int32

// Reads AWS's REST proxy event as JSON. Returns: length.
//
//go:wasmimport postern_v1 event_read
func rawEventRead(buffer unsafe.Pointer, bufferLen uint32) int32

// Sets the answer: AWS's proxy response as JSON, at most 10 MiB; the last one counts.
//
//go:wasmimport postern_v1 result_write
func rawResultWrite(answer unsafe.Pointer, answerLen uint32) int32

// Reads the plugin's config as JSON, {} without one. Returns: length.
//
//go:wasmimport postern_v1 config_read
func rawConfigRead(buffer unsafe.Pointer, bufferLen uint32) int32

// Writes a log line.
//
//go:wasmimport postern_v1 log
func rawLog(level int32, text unsafe.Pointer, textLen uint32) int32

// Tells whether a level is kept. Returns: 1 or 0.
//
//go:wasmimport postern_v1 log_enabled
func rawLogEnabled(level int32) int32

// Reads the gateway's clock. Returns: nanoseconds since 1970.
//
//go:wasmimport postern_v1 time
func rawTime() int64

// Fills the buffer, at most 64 KiB, from the system's random numbers.
//
//go:wasmimport postern_v1 random
func rawRandom(buffer unsafe.Pointer, bufferLen uint32) int32

// Tells how long it is until the call is stopped; 0 when it is over. Returns: nanoseconds.
//
//go:wasmimport postern_v1 deadline_left
func rawDeadlineLeft() int64

// Makes the call fail, whatever it returns; code and text go to the log.
//
//go:wasmimport postern_v1 fail
func rawFail(code int32, text unsafe.Pointer, textLen uint32) int32

// Begins a request and doesn't wait. headers has a line for each, Name: value, ended by \n.
// timeout is in nanoseconds, until the end of the answer; 0 for the configuration's. What is
// under way when the call ends is broken off. Returns: a request's number, above 0.
//
//go:wasmimport postern_v1_http send
func rawHttpSend(method unsafe.Pointer, methodLen uint32, url unsafe.Pointer, urlLen uint32, headers unsafe.Pointer, headersLen uint32, body unsafe.Pointer, bodyLen uint32, timeout int64) int32

// Waits for the head of the answer.
//
//go:wasmimport postern_v1_http wait
func rawHttpWait(request int32) int32

// Tells the answer's status; waits for it. Returns: status.
//
//go:wasmimport postern_v1_http status
func rawHttpStatus(request int32) int32

// Reads the last value of a header of the answer; waits for it. Returns: length.
//
//go:wasmimport postern_v1_http header
func rawHttpHeader(request int32, name unsafe.Pointer, nameLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Reads a header of the answer, in the order of their names; waits for it. Returns: length of
// the name × 2^32 + length of the value.
//
//go:wasmimport postern_v1_http header_entry
func rawHttpHeaderEntry(request int32, index int32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32) int64

// Reads the next bytes of the answer's content; waits for them. Returns: bytes read, 0 at the
// end.
//
//go:wasmimport postern_v1_http read
func rawHttpRead(request int32, buffer unsafe.Pointer, bufferLen uint32) int32

// Reads a value. Returns: length.
//
//go:wasmimport postern_v1_kv get
func rawKvGet(key unsafe.Pointer, keyLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Sets a value for ttl nanoseconds; 0 is for as long as there is room.
//
//go:wasmimport postern_v1_kv set
func rawKvSet(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32, ttl int64) int32

// Removes a value or a counter.
//
//go:wasmimport postern_v1_kv delete
func rawKvDelete(key unsafe.Pointer, keyLen uint32) int32

// Adds to a counter, which begins at 0 and never goes below. ttl counts from its beginning.
// Returns: the counter's new value.
//
//go:wasmimport postern_v1_kv add
func rawKvAdd(key unsafe.Pointer, keyLen uint32, delta int64, ttl int64) int64

// Sets a value if it still is old; an empty old means that there is none. Returns: 1 if it was
// set, 0 if the value isn't old.
//
//go:wasmimport postern_v1_kv cas
func rawKvCas(key unsafe.Pointer, keyLen uint32, old unsafe.Pointer, oldLen uint32, value unsafe.Pointer, valueLen uint32, ttl int64) int32

// Computes a digest: 1 MD5, 2 SHA-1, 3 SHA-256, 4 SHA-384, 5 SHA-512. Returns: length.
//
//go:wasmimport postern_v1_crypto hash
func rawCryptoHash(algorithm int32, data unsafe.Pointer, dataLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Computes an HMAC with one of these digests. Returns: length.
//
//go:wasmimport postern_v1_crypto hmac
func rawCryptoHmac(algorithm int32, key unsafe.Pointer, keyLen uint32, data unsafe.Pointer, dataLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Reads public keys: a JWK, a JWK set, or PEM. Before the first request it lasts as long as the
// instance, else as long as the call. Returns: a key's number, above 0.
//
//go:wasmimport postern_v1_crypto key_load
func rawCryptoKeyLoad(key unsafe.Pointer, keyLen uint32) int32

// Checks a signature: 1 to 3 RS256 to RS512, 4 to 6 PS256 to PS512, 7 to 9 ES256 to ES512 (r
// and s as JOSE has them), 10 EdDSA. Returns: 1 if it is right, else 0.
//
//go:wasmimport postern_v1_crypto verify
func rawCryptoVerify(key int32, signature int32, data unsafe.Pointer, dataLen uint32, mark unsafe.Pointer, markLen uint32) int32

// Checks a token's signature, exp and nbf, and reads its claims as JSON; -2 when it isn't good.
// Returns: length of the claims.
//
//go:wasmimport postern_v1_crypto jwt_verify
func rawCryptoJwtVerify(key int32, token unsafe.Pointer, tokenLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Compares in a time that doesn't depend on the content. Returns: 1 or 0.
//
//go:wasmimport postern_v1_crypto equal
func rawCryptoEqual(one unsafe.Pointer, oneLen uint32, other unsafe.Pointer, otherLen uint32) int32

// Parses a body (1 request, 2 response, 3 backend) or the event (0). Returns: a document's
// number, above 0.
//
//go:wasmimport postern_v1_json open
func rawJsonOpen(body int32) int32

// Parses the guest's own bytes. Returns: a document's number, above 0.
//
//go:wasmimport postern_v1_json parse
func rawJsonParse(text unsafe.Pointer, textLen uint32) int32

// Tells what stands at a path: 1 null, 2 boolean, 3 number, 4 string, 5 array, 6 object.
// Returns: kind.
//
//go:wasmimport postern_v1_json kind
func rawJsonKind(document int32, path unsafe.Pointer, pathLen uint32) int32

// Counts the elements of an array or the members of an object. Returns: how many.
//
//go:wasmimport postern_v1_json count
func rawJsonCount(document int32, path unsafe.Pointer, pathLen uint32) int32

// Reads what stands at a path: a string's text, anything else as JSON. Returns: length.
//
//go:wasmimport postern_v1_json get
func rawJsonGet(document int32, path unsafe.Pointer, pathLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Reads the name of an object's member. Returns: length.
//
//go:wasmimport postern_v1_json name
func rawJsonName(document int32, path unsafe.Pointer, pathLen uint32, index int32, buffer unsafe.Pointer, bufferLen uint32) int32

// Puts a value, as JSON, at a path; members on the way are made.
//
//go:wasmimport postern_v1_json set
func rawJsonSet(document int32, path unsafe.Pointer, pathLen uint32, value unsafe.Pointer, valueLen uint32) int32

// Removes what stands at a path.
//
//go:wasmimport postern_v1_json delete
func rawJsonDelete(document int32, path unsafe.Pointer, pathLen uint32) int32

// Writes the document as JSON. Returns: length.
//
//go:wasmimport postern_v1_json write
func rawJsonWrite(document int32, buffer unsafe.Pointer, bufferLen uint32) int32

// Makes the document the new content of a body.
//
//go:wasmimport postern_v1_json write_body
func rawJsonWriteBody(document int32, body int32) int32

// Names a metric: 1 counter, 2 gauge, 3 histogram. Letters, digits and _, at most 64; no ending
// that Prometheus gives a meaning, such as _total. The same name gives the same number.
// Returns: a metric's number, above 0.
//
//go:wasmimport postern_v1_metric define
func rawMetricDefine(kind int32, name unsafe.Pointer, nameLen uint32) int32

// Adds to a counter or a gauge.
//
//go:wasmimport postern_v1_metric add
func rawMetricAdd(metric int32, delta int64) int32

// Sets a gauge.
//
//go:wasmimport postern_v1_metric set
func rawMetricSet(metric int32, value int64) int32

// Puts a value into a histogram, whose buckets are 1, 2, 5, 10, … 10,000,000.
//
//go:wasmimport postern_v1_metric observe
func rawMetricObserve(metric int32, value int64) int32

// Compiles an expression. Before the first request it lasts as long as the instance, else as
// long as the call. Returns: an expression's number, above 0.
//
//go:wasmimport postern_v1_text regex
func rawTextRegex(pattern unsafe.Pointer, patternLen uint32) int32

// Tells whether an expression is found in a text. Returns: 1 or 0.
//
//go:wasmimport postern_v1_text match
func rawTextMatch(regex int32, text unsafe.Pointer, textLen uint32) int32

// Reads a group of the first place where it is found; 0 is all of it. Returns: length.
//
//go:wasmimport postern_v1_text find
func rawTextFind(regex int32, text unsafe.Pointer, textLen uint32, group int32, buffer unsafe.Pointer, bufferLen uint32) int32

// Writes the text with each place replaced; $1 in by is a group. Returns: length.
//
//go:wasmimport postern_v1_text replace
func rawTextReplace(regex int32, text unsafe.Pointer, textLen uint32, by unsafe.Pointer, byLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Encodes: 1 base64, 2 base64url, 3 hex, 4 percent, 5 form. Returns: length.
//
//go:wasmimport postern_v1_text encode
func rawTextEncode(coding int32, data unsafe.Pointer, dataLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32

// Decodes one of these. Returns: length.
//
//go:wasmimport postern_v1_text decode
func rawTextDecode(coding int32, text unsafe.Pointer, textLen uint32, buffer unsafe.Pointer, bufferLen uint32) int32
