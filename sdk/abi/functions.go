package abi

import "strings"

// Function is one function that guests import. Args describes its parameters: a
// list of name=kind. An argument of the kinds i (i32), I (i64), m (a map's
// number), f (a field's) and y (a body's) is one parameter; t (text, UTF-8), d
// (bytes) and b (a buffer to fill) are two, address and length.
type Function struct {
	Module string // import module
	Name   string
	Args   string
	Result byte // 'i' for i32, 'I' for i64
	Phases Phase
	Gives  string // what the result is when it isn't negative
	Doc    string
}

// Params has one letter for each parameter: 'i' for i32, 'I' for i64.
func (f *Function) Params() string {
	var letters []byte
	for _, a := range f.Arguments() {
		switch a.Kind {
		case 'I':
			letters = append(letters, 'I')
		case 't', 'd', 'b':
			letters = append(letters, "ii"...)
		default:
			letters = append(letters, 'i')
		}
	}
	return string(letters)
}

// Results has the letter of the result.
func (f *Function) Results() string { return string(f.Result) }

// Argument is one argument of a function; Kind is as in Function.Args.
type Argument struct {
	Name string
	Kind byte
}

// Arguments takes Args apart.
func (f *Function) Arguments() []Argument {
	var all []Argument
	for arg := range strings.FieldsSeq(f.Args) {
		name, kind, _ := strings.Cut(arg, "=")
		all = append(all, Argument{name, kind[0]})
	}
	return all
}

// Group is a set of functions that stand in one import module.
type Group struct {
	Module string
	Name   string // in the configuration; "" for the functions that every plugin may call
	Doc    string
}

// Groups returns the import modules of the ABI.
func Groups() []Group {
	return []Group{
		{Module, "", "Every native plugin may call these."},
		{ModuleHTTP, "http", "Requests to other servers, to those that the configuration names. Several may be under way at once: send them all, then wait."},
		{ModuleKV, "kv", "Values and counters that outlive a call and that all instances share."},
		{ModuleCrypto, "crypto", "Digests, signatures and tokens at the speed of the gateway's own code."},
		{ModuleJSON, "json", "Reading and changing JSON without parsing it in the guest. A path is $, .name, ['name'] and [index]."},
		{ModuleMetric, "metric", "Figures for the gateway's metrics page."},
		{ModuleText, "text", "Regular expressions (RE2) and encodings."},
	}
}

// Algorithms are the numbers for hash and hmac.
const (
	MD5    = 1
	SHA1   = 2
	SHA256 = 3
	SHA384 = 4
	SHA512 = 5
)

// Signatures are the numbers for verify, named as in RFC 7518 and RFC 8037.
const (
	RS256 = 1
	RS384 = 2
	RS512 = 3
	PS256 = 4
	PS384 = 5
	PS512 = 6
	ES256 = 7
	ES384 = 8
	ES512 = 9
	EdDSA = 10
)

// Metrics are the numbers for define.
const (
	Counter   = 1
	Gauge     = 2
	Histogram = 3
)

// Codings are the numbers for encode and decode.
const (
	Base64    = 1 // RFC 4648, 4, padded; decoding takes it without padding too
	Base64URL = 2 // RFC 4648, 5, not padded; decoding takes padding too
	Hex       = 3
	Percent   = 4 // RFC 3986, 2.1: all but unreserved characters
	Form      = 5 // percent, with "+" for a space
)

// Documents are what open takes besides the numbers of bodies.
const DocumentEvent = 0 // AWS's event, as event_read gives it

// Kinds are what the function kind returns.
const (
	KindNull    = 1
	KindBoolean = 2
	KindNumber  = 3
	KindString  = 4
	KindArray   = 5
	KindObject  = 6
)

// Functions returns all functions of the ABI, in a fixed order.
func Functions() []Function {
	var all []Function
	for _, group := range [][]Function{coreFunctions(), httpFunctions(), kvFunctions(), cryptoFunctions(), jsonFunctions(), metricFunctions(), textFunctions()} {
		all = append(all, group...)
	}
	return all
}

func coreFunctions() []Function {
	return []Function{
		{Module, "field_get", "field=f buffer=b", 'i', Calls, "length", "Reads a field."},
		{Module, "field_set", "field=f value=t", 'i', Requests, "0", "Changes a field."},
		{Module, "map_count", "map=m", 'i', Requests, "entries", "Counts the entries of a map."},
		{Module, "map_get", "map=m name=t buffer=b", 'i', Requests, "length", "Reads the value of a name, the last one of several."},
		{Module, "map_entry", "map=m index=i name=b value=b", 'I', Requests, "length of the name × 2^32 + length of the value", "Reads an entry, in the order of arrival; each of the two parts is written if it fits."},
		{Module, "map_set", "map=m name=t value=t", 'i', Requests, "0", "Sets a name to one value, whatever it had."},
		{Module, "map_add", "map=m name=t value=t", 'i', Requests, "0", "Adds a value; in the bag it is map_set."},
		{Module, "map_del", "map=m name=t", 'i', Requests, "how many", "Removes all values of a name."},
		{Module, "body_len", "body=y", 'i', Whole, "length", "Tells how long the content is that body_read reads."},
		{Module, "body_read", "body=y buffer=b", 'i', Whole, "bytes read, 0 at the end", "Reads the next bytes of the content as it was when the call began."},
		{Module, "body_write", "body=y data=d", 'i', Whole, "0", "Adds to the new content. The first write of a call begins it; without one the content stays as it is."},
		{Module, "body_reset", "body=y", 'i', Whole, "0", "Makes the new content empty and has body_read begin again."},
		{Module, "chunk_len", "", 'i', Pieces, "bytes", "Tells how long the piece of content is that the call is about. Since 1.2."},
		{Module, "chunk_last", "", 'i', Pieces, "1 or 0", "Tells whether the content ends with the piece. Since 1.2."},
		{Module, "chunk_read", "buffer=b", 'i', Integrate | Pieces, "bytes read, 0 at the end", "Reads the next bytes of the piece; in the role integrate those of the request's content, which it waits for. Since 1.2."},
		{Module, "chunk_write", "data=d", 'i', Integrate | Pieces, "0", "Adds to what goes on in place of the piece; without a write that is the piece itself. In the role integrate it sends content to the client, and waits until that takes it: the first one sends status and headers before, even if it has no bytes. Since 1.2."},
		{Module, "chunk_keep", "bytes=i", 'i', Pieces, "0", "Holds back the last bytes of the piece: the next one begins with them. -2 for more than the piece has, and for the last piece. Since 1.2."},
		{Module, "principal_set", "principal=t", 'i', Authorize, "0", "Says who calls; counts if the decision is allow. At most 2 KiB."},
		{Module, "context_set", "name=t value=t", 'i', Authorize, "0", "Sets an entry of the authorizer's context. At most 64 entries and 16 KiB."},
		{Module, "event_read", "buffer=b", 'i', Integrate, "length", "Reads AWS's REST proxy event as JSON."},
		{Module, "result_write", "answer=d", 'i', Integrate, "0", "Sets the answer: AWS's proxy response as JSON, at most 10 MiB; the last one counts."},
		{Module, "config_read", "buffer=b", 'i', Always, "length", "Reads the plugin's config as JSON, {} without one."},
		{Module, "log", "level=i text=t", 'i', Always, "0", "Writes a log line."},
		{Module, "log_enabled", "level=i", 'i', Always, "1 or 0", "Tells whether a level is kept."},
		{Module, "time", "", 'I', Always, "nanoseconds since 1970", "Reads the gateway's clock."},
		{Module, "random", "buffer=b", 'i', Always, "0", "Fills the buffer, at most 64 KiB, from the system's random numbers."},
		{Module, "deadline_left", "", 'I', Always, "nanoseconds", "Tells how long it is until the call is stopped; 0 when it is over."},
		{Module, "fail", "code=i text=t", 'i', Always, "0", "Makes the call fail, whatever it returns; code and text go to the log."},
	}
}

func httpFunctions() []Function {
	return []Function{
		{ModuleHTTP, "send", "method=t url=t headers=t body=d timeout=I", 'i', Calls, "a request's number, above 0", "Begins a request and doesn't wait. headers has a line for each, Name: value, ended by \\n. timeout is in nanoseconds, until the end of the answer; 0 for the configuration's. What is under way when the call ends is broken off."},
		{ModuleHTTP, "wait", "request=i", 'i', Calls, "0", "Waits for the head of the answer."},
		{ModuleHTTP, "status", "request=i", 'i', Calls, "status", "Tells the answer's status; waits for it."},
		{ModuleHTTP, "header", "request=i name=t buffer=b", 'i', Calls, "length", "Reads the last value of a header of the answer; waits for it."},
		{ModuleHTTP, "header_entry", "request=i index=i name=b value=b", 'I', Calls, "length of the name × 2^32 + length of the value", "Reads a header of the answer, in the order of their names; waits for it."},
		{ModuleHTTP, "read", "request=i buffer=b", 'i', Calls, "bytes read, 0 at the end", "Reads the next bytes of the answer's content; waits for them."},
	}
}

func kvFunctions() []Function {
	return []Function{
		{ModuleKV, "get", "key=t buffer=b", 'i', Always, "length", "Reads a value."},
		{ModuleKV, "set", "key=t value=d ttl=I", 'i', Always, "0", "Sets a value for ttl nanoseconds; 0 is for as long as there is room."},
		{ModuleKV, "delete", "key=t", 'i', Always, "0", "Removes a value or a counter."},
		{ModuleKV, "add", "key=t delta=I ttl=I", 'I', Always, "the counter's new value", "Adds to a counter, which begins at 0 and never goes below. ttl counts from its beginning."},
		{ModuleKV, "cas", "key=t old=d value=d ttl=I", 'i', Always, "1 if it was set, 0 if the value isn't old", "Sets a value if it still is old; an empty old means that there is none."},
	}
}

func cryptoFunctions() []Function {
	return []Function{
		{ModuleCrypto, "hash", "algorithm=i data=d buffer=b", 'i', Always, "length", "Computes a digest: 1 MD5, 2 SHA-1, 3 SHA-256, 4 SHA-384, 5 SHA-512."},
		{ModuleCrypto, "hmac", "algorithm=i key=d data=d buffer=b", 'i', Always, "length", "Computes an HMAC with one of these digests."},
		{ModuleCrypto, "key_load", "key=t", 'i', Always, "a key's number, above 0", "Reads public keys: a JWK, a JWK set, or PEM. Before the first request it lasts as long as the instance, else as long as the call."},
		{ModuleCrypto, "verify", "key=i signature=i data=d mark=d", 'i', Always, "1 if it is right, else 0", "Checks a signature: 1 to 3 RS256 to RS512, 4 to 6 PS256 to PS512, 7 to 9 ES256 to ES512 (r and s as JOSE has them), 10 EdDSA."},
		{ModuleCrypto, "jwt_verify", "key=i token=t buffer=b", 'i', Always, "length of the claims", "Checks a token's signature, exp and nbf, and reads its claims as JSON; -2 when it isn't good."},
		{ModuleCrypto, "equal", "one=d other=d", 'i', Always, "1 or 0", "Compares in a time that doesn't depend on the content."},
	}
}

func jsonFunctions() []Function {
	return []Function{
		{ModuleJSON, "open", "body=i", 'i', Whole, "a document's number, above 0", "Parses a body (1 request, 2 response, 3 backend) or the event (0)."},
		{ModuleJSON, "parse", "text=d", 'i', Always, "a document's number, above 0", "Parses the guest's own bytes."},
		{ModuleJSON, "kind", "document=i path=t", 'i', Always, "kind", "Tells what stands at a path: 1 null, 2 boolean, 3 number, 4 string, 5 array, 6 object."},
		{ModuleJSON, "count", "document=i path=t", 'i', Always, "how many", "Counts the elements of an array or the members of an object."},
		{ModuleJSON, "get", "document=i path=t buffer=b", 'i', Always, "length", "Reads what stands at a path: a string's text, anything else as JSON."},
		{ModuleJSON, "name", "document=i path=t index=i buffer=b", 'i', Always, "length", "Reads the name of an object's member."},
		{ModuleJSON, "set", "document=i path=t value=t", 'i', Always, "0", "Puts a value, as JSON, at a path; members on the way are made."},
		{ModuleJSON, "delete", "document=i path=t", 'i', Always, "0", "Removes what stands at a path."},
		{ModuleJSON, "write", "document=i buffer=b", 'i', Always, "length", "Writes the document as JSON."},
		{ModuleJSON, "write_body", "document=i body=y", 'i', Whole, "0", "Makes the document the new content of a body."},
	}
}

func metricFunctions() []Function {
	return []Function{
		{ModuleMetric, "define", "kind=i name=t", 'i', Start, "a metric's number, above 0", "Names a metric: 1 counter, 2 gauge, 3 histogram. Letters, digits and _, at most 64; no ending that Prometheus gives a meaning, such as _total. The same name gives the same number."},
		{ModuleMetric, "add", "metric=i delta=I", 'i', Always, "0", "Adds to a counter or a gauge."},
		{ModuleMetric, "set", "metric=i value=I", 'i', Always, "0", "Sets a gauge."},
		{ModuleMetric, "observe", "metric=i value=I", 'i', Always, "0", "Puts a value into a histogram, whose buckets are 1, 2, 5, 10, … 10,000,000."},
	}
}

func textFunctions() []Function {
	return []Function{
		{ModuleText, "regex", "pattern=t", 'i', Always, "an expression's number, above 0", "Compiles an expression. Before the first request it lasts as long as the instance, else as long as the call."},
		{ModuleText, "match", "regex=i text=t", 'i', Always, "1 or 0", "Tells whether an expression is found in a text."},
		{ModuleText, "find", "regex=i text=t group=i buffer=b", 'i', Always, "length", "Reads a group of the first place where it is found; 0 is all of it."},
		{ModuleText, "replace", "regex=i text=t by=t buffer=b", 'i', Always, "length", "Writes the text with each place replaced; $1 in by is a group."},
		{ModuleText, "encode", "coding=i data=d buffer=b", 'i', Always, "length", "Encodes: 1 base64, 2 base64url, 3 hex, 4 percent, 5 form."},
		{ModuleText, "decode", "coding=i text=t buffer=b", 'i', Always, "length", "Decodes one of these."},
	}
}
