package observe

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// newEncoder returns the encoder of access lines. Fields that every line of a
// stage has are added to a clone of it once, at load.
func newEncoder() zapcore.Encoder {
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey:    "time",
		LineEnding: "\n",
		EncodeTime: zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00"),
	})
}

// record is one access line in the making, the plain way: zap's JSON encoder.
type record struct{ ex *proxy.Exchange }

// plainLine returns the access line of ex as zap encodes it.
func plainLine(t testing.TB, api, stage string, ex *proxy.Exchange) []byte {
	t.Helper()
	encoder := newEncoder()
	if api != "" {
		encoder.AddString("api", api)
		encoder.AddString("stage", stage)
	}
	line, err := encoder.EncodeEntry(zapcore.Entry{Time: ex.Start.UTC()}, []zapcore.Field{{Type: zapcore.InlineMarshalerType, Interface: &record{ex}}})
	if err != nil {
		t.Fatal(err)
	}
	return line.Bytes()
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
		line.AddByteString("client_address", client.Addr().Unmap().AppendTo(nil))
		line.AddUint16("client_port", client.Port())
	}
	if agent := ex.In.Fields.GetKnown(http1.UserAgent); agent != "" {
		line.AddString("user_agent", clean(agent))
	}
	if c := ex.Domain.Certificate; c != nil {
		line.AddString("client_certificate", clean(c.Subject))
		line.AddString("client_certificate_issuer", clean(c.Issuer))
		line.AddString("client_certificate_serial", c.Serial)
	}
	if id := &ex.Caller.Identity; id.AccessKey != "" {
		line.AddString("user_arn", id.UserARN)
		line.AddString("access_key", id.AccessKey)
	}
	if ex.Caller.KeyID != "" {
		line.AddString("api_key_id", ex.Caller.KeyID)
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
	if notes.Target != "" {
		line.AddString("target", notes.Target)
	}
	if notes.Retries != 0 {
		line.AddInt("retries", notes.Retries)
	}
	if notes.Plugin != "" {
		line.AddString("plugin", notes.Plugin)
	}
	if notes.PluginRole != "" {
		line.AddString("plugin_role", notes.PluginRole)
	}
	if notes.PluginFailure != "" {
		line.AddString("plugin_failure", clean(notes.PluginFailure))
	}
	if notes.PluginTime > 0 {
		line.AddFloat64("plugin_ms", milliseconds(notes.PluginTime))
	}
	if notes.PluginRequests > 0 {
		line.AddInt("plugin_requests", notes.PluginRequests)
		line.AddFloat64("plugin_wait_ms", milliseconds(notes.PluginWaiting))
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

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// clean is what the line's values go through, the plain way.
func clean(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	return strings.Map(func(c rune) rune {
		if c >= 0x7f && c <= 0x9f {
			return utf8.RuneError
		}
		return c
	}, s)
}

// lineOf returns the access line of ex as it is written.
func lineOf(api, stage string, ex *proxy.Exchange) []byte {
	var stamp stamps
	return appendLine(nil, stagePrefix(api, stage), &stamp, ex)
}

// The line is the same as zap's to the byte, whatever the values hold.
func FuzzLine(f *testing.F) {
	f.Add("GET", "/prod/pets", "curl/8", "bad \"thing\"\n", 200, int64(1234567), int64(0), int64(5))
	f.Add("PO\x7fST", "/\xff\xc2\x9b\u00e9", "\x1b[31m", "\u2028</script>", 502, int64(0), int64(1), int64(-1))
	f.Add("", strings.Repeat("\u00e9", 3000), "", "", 0, int64(1e12), int64(999_999), int64(1e15))
	f.Fuzz(func(t *testing.T, method, path, agent, cause string, status int, total, integration, out int64) {
		ex := exchange()
		ex.In.Method, ex.In.Path = method, path
		ex.In.Fields = ex.In.Fields[:0]
		ex.In.Fields.Add("User-Agent", agent)
		ex.Start = ex.Start.Add(time.Duration(total) * 1000)
		ex.Reply.Status = status
		ex.Times = proxy.Times{Total: time.Duration(total), Integration: time.Duration(integration), Authorizer: time.Duration(out)}
		ex.Notes = proxy.Notes{BackendStatus: status, BytesOut: out, Retries: int(out % 3), Target: []string{"", "10.0.0.1:80"}[out&1], Plugin: "guard", PluginRole: []string{"", "request"}[out&1], PluginFailure: cause, PluginTime: time.Duration(out % 4 * 1234567), PluginWaiting: time.Duration(out), PluginRequests: int(out % 2), Truncated: out%2 == 0, ClientGone: out%5 == 0}
		if cause != "" {
			ex.Fault = &proxy.Fault{Kind: proxy.Internal, Message: agent, Cause: errors.New(cause)}
		}
		if agent != "" {
			ex.Domain.Certificate = &proxy.ClientCertificate{Subject: agent, Issuer: cause, Serial: "a1:0b"}
			ex.Caller.Identity = proxy.Identity{UserARN: "arn:aws:iam::000000000000:user/alice", AccessKey: "AKIDEXAMPLE"}
			ex.Caller.Key, ex.Caller.KeyID = "TheKeyOfPartnerOne000001", "partner"
		}
		if year := ex.Start.UTC().Year(); year < 1970 || year > 9999 {
			t.Skip("not a time that a request has")
		}
		got, want := lineOf("pets", "prod", ex), plainLine(t, "pets", "prod", ex)
		if !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		ex.Route = nil
		if got, want := lineOf("", "", ex), plainLine(t, "", "", ex); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func BenchmarkLine(b *testing.B) {
	ex := exchange()
	b.Run("zap", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plainLine(b, "pets", "prod", ex)
		}
	})
	b.Run("own", func(b *testing.B) {
		var stamp stamps
		prefix, buf := stagePrefix("pets", "prod"), make([]byte, 0, 4096)
		b.ReportAllocs()
		for b.Loop() {
			buf = appendLine(buf[:0], prefix, &stamp, ex)
		}
	})
}

// A run of ordinary bytes ends before the first that isn't, by less than a word.
func TestOrdinary(t *testing.T) {
	b := bytes.Repeat([]byte{'x'}, 24)
	for at := range b {
		for c := range 256 {
			b[at] = byte(c)
			want := len(b)
			if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
				want = at / 8 * 8
			}
			if got := ordinary(string(b)); got != want {
				t.Errorf("%q: got %d, want %d", b, got, want)
			}
		}
		b[at] = 'x'
	}
	for n := range b {
		want := n
		if n < 8 {
			want = 0
		}
		if got := ordinary(string(b[:n])); got != want {
			t.Errorf("%d bytes: got %d, want %d", n, got, want)
		}
		for at := n / 8 * 8; at < n && n > 8; at++ { // what isn't, among the last few
			b[at] = '"'
			if got, want := ordinary(string(b[:n])), n/8*8; got != want {
				t.Errorf("%d bytes, %d ordinary: got %d, want %d", n, at, got, want)
			}
			b[at] = 'x'
		}
	}
}

func TestDecimal(t *testing.T) {
	for n := int64(1); n < 1e18; n *= 10 {
		for _, n := range []int64{n - 1, n, n + 1, 5*n + 3, -n, math.MaxInt64, math.MinInt64, 1<<32 + n} {
			if got, want := string(appendDecimal([]byte("x"), n)), "x"+strconv.FormatInt(n, 10); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

func BenchmarkDecimal(b *testing.B) {
	f := func(name string, f func([]byte, int64) []byte) {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 0, 64)
			for b.Loop() {
				for _, n := range []int64{200, 0, 1024, 51234, 3} {
					buf = f(buf[:0], n)
				}
			}
		})
	}
	f("plain", func(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) })
	f("own", appendDecimal)
}
