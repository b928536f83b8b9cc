package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// Trace is an exchange's place in a distributed trace. The zero value is none: what
// clients send of traces passes as any other field does.
type Trace struct {
	ID      [16]byte // zero for none
	Parent  [8]byte  // the client's span; zero for none
	Span    [8]byte  // the exchange's own
	Call    [8]byte  // the integration's: the backend's parent
	Sampled bool     // somebody will look at it
	State   string   // tracestate, as the client sent it
}

// On reports whether there is a trace.
func (t *Trace) On() bool { return t.ID != [16]byte{} }

// Sampling says which exchanges of a stage are traced.
type Sampling struct {
	// Below is how many of 2^63 random numbers have one traced.
	Below uint64
	// Follow says whose word counts instead: clients that are part of a trace already.
	Follow Follow
}

// Follow says whether clients decide what is traced.
type Follow uint8

// Whose decision counts.
const (
	FollowAll     Follow = iota // every client's that has decided
	FollowTrusted               // trusted proxies'
	FollowNobody
)

// Ratio returns the Below of a share of all exchanges, from 0 to 1.
func Ratio(share float64) uint64 { return uint64(share * (1 << 63)) }

// joinTrace makes ex a part of the trace that the client has begun, or of a new one.
// Traceparent comes before X-Amzn-Trace-Id. W3C Trace Context, Level 1, 4.
func (ex *Exchange) joinTrace(s *Sampling) {
	t := &ex.Trace
	binary.BigEndian.PutUint64(t.Span[:], rand.Uint64()|1)
	binary.BigEndian.PutUint64(t.Call[:], rand.Uint64()|1)
	sampled, decided := t.parent(ex.In.Fields)
	switch {
	case !t.On():
		// X-Ray takes only ids that begin with the time.
		binary.BigEndian.PutUint32(t.ID[:], uint32(ex.Start.Unix()))
		binary.BigEndian.PutUint32(t.ID[4:], rand.Uint32())
		binary.BigEndian.PutUint64(t.ID[8:], rand.Uint64())
		t.Sampled = binary.BigEndian.Uint64(t.ID[8:])>>1 < s.Below
	case decided && (s.Follow == FollowAll || s.Follow == FollowTrusted && ex.In.Trusted):
		t.Sampled = sampled
	default:
		t.Sampled = rand.Uint64()>>1 < s.Below // whoever chooses ids must not choose this
	}
}

// parent takes the id and the parent from a client's fields, and returns whether it
// samples the trace, if it has decided.
func (t *Trace) parent(fields http1.Fields) (sampled, decided bool) {
	if header, alone := only(fields, http1.Traceparent); alone {
		if flags, ok := t.parseParent(header); ok {
			t.State = fields.Get("tracestate")
			return flags&1 != 0, true
		}
	}
	header := fields.GetKnown(http1.XAmznTraceID)
	root := traceRoot(header)
	if root == "" {
		return false, false
	}
	_, _ = hex.Decode(t.ID[:], []byte(root[2:10])) // traceRoot found hexadecimal digits
	_, _ = hex.Decode(t.ID[4:], []byte(root[11:]))
	if parent := tracePart(header, "Parent="); len(parent) == 16 {
		if _, err := hex.Decode(t.Parent[:], []byte(parent)); err != nil {
			t.Parent = [8]byte{}
		}
	}
	switch tracePart(header, "Sampled=") {
	case "1":
		return true, true
	case "0":
		return false, true
	}
	return false, false
}

// only returns the value of a field that must not be there twice.
func only(fields http1.Fields, k http1.Known) (value string, alone bool) {
	for i := range fields {
		if fields[i].Known() == k {
			if alone {
				return "", false
			}
			value, alone = fields[i].Value, true
		}
	}
	return value, alone
}

// parseParent reads a traceparent: 00-<32 digits>-<16 digits>-<2 digits>, in lower case.
// Later versions may have more behind it. W3C Trace Context, 3.2.
func (t *Trace) parseParent(s string) (flags byte, ok bool) {
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || strings.ContainsAny(s[:55], "ABCDEF") {
		return 0, false
	}
	var version, last [1]byte
	var id [16]byte
	var parent [8]byte
	for _, part := range []struct {
		to   []byte
		text string
	}{{version[:], s[:2]}, {id[:], s[3:35]}, {parent[:], s[36:52]}, {last[:], s[53:55]}} {
		for i := range part.to {
			high, low := digit(part.text[2*i]), digit(part.text[2*i+1])
			if high > 15 || low > 15 {
				return 0, false
			}
			part.to[i] = high<<4 | low
		}
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(s) > 55, len(s) > 55 && s[55] != '-':
		return 0, false
	case id == [16]byte{}, parent == [8]byte{}:
		return 0, false
	}
	t.ID, t.Parent = id, parent
	return last[0], true
}

// digit returns the value of a hexadecimal digit in lower case, 255 for none.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// AppendTrace appends what tells a backend of ex's trace, in place of what the client
// sent: traceparent and tracestate. Without a trace it changes nothing.
func (ex *Exchange) AppendTrace(fields http1.Fields) http1.Fields {
	t := &ex.Trace
	if !t.On() {
		return fields
	}
	kept := fields[:0]
	for i := range fields {
		f := &fields[i]
		if f.Known() != http1.Traceparent && (len(f.Name) != len("tracestate") || !strings.EqualFold(f.Name, "tracestate")) {
			kept = append(kept, *f)
		}
	}
	b := append(ex.Text.Begin(), "00-"...)
	b = append(hex.AppendEncode(b, t.ID[:]), '-')
	b = hex.AppendEncode(b, t.Call[:])
	if t.Sampled {
		b = append(b, "-01"...)
	} else {
		b = append(b, "-00"...)
	}
	kept = http1.AppendKnown(kept, http1.Traceparent, ex.Text.Finish(b))
	if t.State != "" {
		kept = append(kept, http1.NewField("tracestate", t.State))
	}
	return kept
}

// TraceID returns the value of X-Amzn-Trace-Id for whoever ex is passed on to:
//
//	Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0
//
// Root is the client's if it sent a well-formed one, so that a trace spans
// several gateways, else it is that of ex's Trace, if there is one; Parent is new. All
// calls for one exchange give one value.
func (ex *Exchange) TraceID() string {
	if ex.traceID != "" {
		return ex.traceID
	}
	t := &ex.Trace
	b := append(ex.Text.Begin(), "Root="...)
	if root := traceRoot(ex.In.Fields.GetKnown(http1.XAmznTraceID)); root != "" {
		b = append(b, root...)
	} else if t.On() {
		b = hex.AppendEncode(append(b, "1-"...), t.ID[:4])
		b = hex.AppendEncode(append(b, '-'), t.ID[4:])
	} else {
		b = append(b, "1-"...)
		// Eight digits of seconds, a dash, and 24 random digits: 16 are written
		// where eight are wanted, and the rest is written over.
		at := len(b)
		b = AppendHex(b, uint64(ex.Start.Unix())<<32)
		b = append(b[:at+8], '-')
		b = AppendHex(b, rand.Uint64())
		b = AppendHex(b, rand.Uint64())
		b = b[:at+8+1+24]
	}
	b = append(b, ";Parent="...)
	if t.On() {
		b = hex.AppendEncode(b, t.Call[:])
	} else {
		b = AppendHex(b, rand.Uint64())
	}
	if t.Sampled {
		b = append(b, ";Sampled=1"...)
	} else { // nothing is traced here, whatever the client says of itself
		b = append(b, ";Sampled=0"...)
	}
	ex.traceID = ex.Text.Finish(b)
	return ex.traceID
}

// tracePart returns the part of a trace header that begins with key, as "Parent=".
func tracePart(header, key string) string {
	for header != "" {
		var part string
		part, header, _ = strings.Cut(header, ";")
		if value, found := strings.CutPrefix(strings.TrimSpace(part), key); found {
			return value
		}
	}
	return ""
}

// TraceRoot returns the Root of what TraceID returned, "" if nobody has asked it:
// $context.xrayTraceId.
func (ex *Exchange) TraceRoot() string {
	root, _, _ := strings.Cut(strings.TrimPrefix(ex.traceID, "Root="), ";")
	return root
}

// traceRoot returns the Root part of a trace header if it has the form
// 1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx, else "".
func traceRoot(header string) string {
	root := tracePart(header, "Root=")
	if len(root) == 35 && root[:2] == "1-" && root[10] == '-' && allHex(root[2:10]) && allHex(root[11:]) {
		return root
	}
	return ""
}

func allHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20 // letters to lower case; digits have the bit
		if (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
