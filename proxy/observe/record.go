package observe

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// longest is how many bytes of one value a line holds: a client chooses the
// length of some of them.
const longest = 4096

// newEncoder returns the encoder of access lines. Fields that every line of a
// stage has are added to a clone of it once, at load.
func newEncoder() zapcore.Encoder {
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:    "time",
		LineEnding: "\n",
		EncodeTime: zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00"),
	})
}

// record is one access line in the making. Records are reused: what an Exchange
// holds is only valid until it ends.
type record struct {
	ex      *proxy.Exchange
	fields  [1]zapcore.Field // the record itself, to be encoded in line
	address [64]byte
}

func newRecords() *sync.Pool {
	return &sync.Pool{New: func() any {
		r := new(record)
		r.fields[0] = zapcore.Field{Type: zapcore.InlineMarshalerType, Interface: r}
		return r
	}}
}

// MarshalLogObject implements zapcore.ObjectMarshaler. The query isn't logged:
// it often carries tokens. What a field would say with zero or false is left out,
// but for the figures that every line has.
func (r *record) MarshalLogObject(line zapcore.ObjectEncoder) error {
	ex := r.ex
	line.AddString("request_id", ex.ID)
	if ex.Route != nil {
		line.AddString("route", ex.Route.Key)
	}
	line.AddString("method", clean(ex.In.Method))
	line.AddString("path", clean(ex.In.Path))
	line.AddString("protocol", ex.In.Proto)
	line.AddString("host", clean(ex.In.Host))
	line.AddInt("status", ex.Reply.Status)
	line.AddFloat64("latency_ms", milliseconds(ex.Times.Total))
	line.AddInt64("bytes_in", ex.Notes.BytesIn)
	line.AddInt64("bytes_out", ex.Notes.BytesOut)
	if client := ex.In.Client; client.IsValid() {
		line.AddByteString("client_address", client.Addr().Unmap().AppendTo(r.address[:0]))
		line.AddUint16("client_port", client.Port())
	}
	if agent := ex.In.Fields.GetKnown(http1.UserAgent); agent != "" {
		line.AddString("user_agent", clean(agent))
	}
	r.addIntegration(line)
	r.addFailure(line)
	return nil
}

func (r *record) addIntegration(line zapcore.ObjectEncoder) {
	times, notes := &r.ex.Times, &r.ex.Notes
	if times.Authorizer > 0 {
		line.AddFloat64("authorizer_latency_ms", milliseconds(times.Authorizer))
	}
	if times.Integration > 0 {
		line.AddFloat64("integration_latency_ms", milliseconds(times.Integration))
	}
	if notes.BackendStatus != 0 {
		line.AddInt("integration_status", notes.BackendStatus)
	}
	if notes.Retries != 0 {
		line.AddInt("retries", notes.Retries)
	}
	if notes.Plugin != "" {
		line.AddString("plugin", notes.Plugin)
	}
	if notes.PluginFailure != "" {
		line.AddString("plugin_failure", clean(notes.PluginFailure))
	}
}

func (r *record) addFailure(line zapcore.ObjectEncoder) {
	if fault := r.ex.Fault; fault != nil {
		line.AddString("fault", fault.Kind.String())
		if fault.Message != "" {
			line.AddString("fault_message", clean(fault.Message))
		}
		if fault.Cause != nil {
			line.AddString("error", clean(fault.Cause.Error()))
		}
	}
	if r.ex.Notes.Truncated {
		line.AddBool("truncated", true)
	}
	if r.ex.Notes.ClientGone {
		line.AddBool("client_gone", true)
	}
}

// milliseconds keeps microseconds: more digits would only be noise.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clean makes a value safe for a terminal that shows the log. JSON escapes the
// control characters below U+0020; DEL and U+0080 to U+009F, which some
// terminals obey too, become U+FFFD here. Long values are cut.
func clean(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	// In UTF-8 these start with 0xC2, which a plain value has not.
	if strings.IndexByte(s, 0x7f) < 0 && strings.IndexByte(s, 0xc2) < 0 {
		return s
	}
	return strings.Map(func(c rune) rune {
		if c >= 0x7f && c <= 0x9f {
			return utf8.RuneError
		}
		return c
	}, s)
}
