package proxy

import (
	"math/rand/v2"
	"strings"

	"github.com/postern-gateway/postern/proxy/http1"
)

// TraceID returns the value of X-Amzn-Trace-Id for whoever ex is passed on to:
//
//	Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0
//
// Root is the client's if it sent a well-formed one, so that a trace spans
// several gateways; Parent is new. All calls for one exchange give one value.
func (ex *Exchange) TraceID() string {
	if ex.traceID != "" {
		return ex.traceID
	}
	b := append(ex.Text.Begin(), "Root="...)
	if root := traceRoot(ex.In.Fields.GetKnown(http1.XAmznTraceID)); root != "" {
		b = append(b, root...)
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
	b = AppendHex(b, rand.Uint64())
	// Nothing is traced here, whatever the client says of itself.
	b = append(b, ";Sampled=0"...)
	ex.traceID = ex.Text.Finish(b)
	return ex.traceID
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
	for header != "" {
		var part string
		part, header, _ = strings.Cut(header, ";")
		root, found := strings.CutPrefix(strings.TrimSpace(part), "Root=")
		if !found {
			continue
		}
		if len(root) == 35 && root[:2] == "1-" && root[10] == '-' && allHex(root[2:10]) && allHex(root[11:]) {
			return root
		}
		return ""
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
