package observe

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// shared stands in for the variables that templates have, too.
func shared(name string) (Variable, bool) {
	v, found := map[string]Variable{
		"requestId":          func(ex *proxy.Exchange) string { return ex.ID },
		"extendedRequestId":  func(ex *proxy.Exchange) string { return ex.ExtendedID },
		"identity.sourceIp":  func(ex *proxy.Exchange) string { return ex.ClientAddress() },
		"identity.caller":    func(ex *proxy.Exchange) string { return ex.Caller.Identity.Caller },
		"identity.user":      func(ex *proxy.Exchange) string { return ex.Caller.Identity.User },
		"httpMethod":         func(ex *proxy.Exchange) string { return ex.In.Method },
		"resourcePath":       func(ex *proxy.Exchange) string { return ex.Route.Resource },
		"identity.userAgent": func(ex *proxy.Exchange) string { return ex.In.Fields.Get("User-Agent") },
		"authorizer.claims.cognito:groups": func(ex *proxy.Exchange) string {
			return "[a, b]"
		},
	}[name]
	return v, found
}

// staged is a configuration of one stage, pets:prod.
func staged(s config.Stage) *config.Config {
	return &config.Config{Log: config.Log{Access: Off}, API: map[string]config.API{"pets": {Stage: map[string]config.Stage{"prod": s}}}}
}

func stageLog(access config.AccessLog) config.Stage {
	return config.Stage{Log: &config.StageLog{Access: &access}}
}

func full() *proxy.Exchange {
	ex := exchange()
	ex.ExtendedID = "Mc7UVioPPHcEKPA="
	ex.Route.Resource = "/pets/{id}"
	ex.Stage = &proxy.Stage{Name: "prod", API: &proxy.API{Name: "pets"}}
	return ex
}

// The presets are what AWS's console suggests.
func TestPresets(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		compiled, err := parseFormat(format, config.RESTType, shared)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(compiled.append(nil, full())); got != want+"\n" {
			t.Errorf("%s:\ngot  %s\nwant %s", format, got, want)
		}
	}
	const id = "5b2d7a55-7d4c-4b7e-9d6e-8f9f5a3b1c2d"
	f("clf", `192.0.2.7 - - [04/Mar/2026:05:06:07 +0000] "GET /pets/{id} HTTP/1.1" 200 3400 `+id+` Mc7UVioPPHcEKPA=`)
	f("json", `{ "requestId":"`+id+`", "extendedRequestId":"Mc7UVioPPHcEKPA=","ip": "192.0.2.7", "caller":"-", "user":"-", `+
		`"requestTime":"04/Mar/2026:05:06:07 +0000", "httpMethod":"GET","resourcePath":"/pets/{id}", "status":"200","protocol":"HTTP/1.1", "responseLength":"3400" }`)
	f("xml", `<request id="`+id+`"> <extendedRequestId>Mc7UVioPPHcEKPA=</extendedRequestId> <ip>192.0.2.7</ip> <caller>-</caller> <user>-</user> `+
		`<requestTime>04/Mar/2026:05:06:07 +0000</requestTime> <httpMethod>GET</httpMethod> <resourcePath>/pets/{id}</resourcePath> <status>200</status> `+
		`<protocol>HTTP/1.1</protocol> <responseLength>3400</responseLength> </request>`)
	f("csv", `192.0.2.7,-,-,04/Mar/2026:05:06:07 +0000,GET,/pets/{id},HTTP/1.1,200,3400,`+id+`,Mc7UVioPPHcEKPA=`)
	// A format may end in a newline, and a name in a sentence.
	f("$context.requestId took $context.responseLatency.\n", id+" took 3.")
	// A member's name may have other characters in brackets.
	f("$context.requestId $context.authorizer.claims['cognito:groups'] end", id+" [a, b] end")
}

// Those for HTTP APIs have the route's key, and no callers.
func TestHTTPPresets(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		compiled, err := parseFormat(format, config.HTTPType, shared)
		if err != nil {
			t.Fatal(err)
		}
		ex := full()
		ex.Route.Key = "GET /pets/{id}"
		if got := string(compiled.append(nil, ex)); got != want+"\n" {
			t.Errorf("%s:\ngot  %s\nwant %s", format, got, want)
		}
	}
	const id = "5b2d7a55-7d4c-4b7e-9d6e-8f9f5a3b1c2d"
	f("clf", `192.0.2.7 - - [04/Mar/2026:05:06:07 +0000] "GET GET /pets/{id} HTTP/1.1" 200 3400 `+id)
	f("csv", `192.0.2.7,04/Mar/2026:05:06:07 +0000,GET,GET /pets/{id},HTTP/1.1,200,3400,`+id)
	f("json", `{ "requestId":"`+id+`", "ip": "192.0.2.7", "requestTime":"04/Mar/2026:05:06:07 +0000", "httpMethod":"GET",`+
		`"routeKey":"GET /pets/{id}", "status":"200","protocol":"HTTP/1.1", "responseLength":"3400" }`)
	f("xml", `<request id="`+id+`"> <ip>192.0.2.7</ip> <requestTime>04/Mar/2026:05:06:07 +0000</requestTime> <httpMethod>GET</httpMethod> `+
		`<routeKey>GET /pets/{id}</routeKey> <status>200</status> <protocol>HTTP/1.1</protocol> <responseLength>3400</responseLength> </request>`)
	f("$context.requestId $context.dataProcessed $context.integrationErrorMessage", id+" 3412 -")
}

// Values that clients choose stay within their place.
func TestFormatEscapes(t *testing.T) {
	evil := "a\"b\\c\n<&'>,d\x1b\u009b" + strings.Repeat("x", 5000)
	line := func(format string) string {
		compiled, err := parseFormat(format, config.RESTType, shared)
		if err != nil {
			t.Fatal(err)
		}
		ex := full()
		ex.In.Fields = ex.In.Fields[:0]
		ex.In.Fields.Add("User-Agent", evil)
		ex.In.Method = evil
		text := string(compiled.append(nil, ex))
		if strings.Count(text, "\n") != 1 || strings.Contains(text, "\x1b") || strings.Contains(text, "\u009b") || len(text) > 2*longest {
			t.Errorf("%s: %.200q", format, text)
		}
		return text
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(line(`{"id":"$context.requestId","agent":"$context.identity.userAgent"}`)), &object); err != nil || !strings.HasPrefix(object["agent"], "a\"b\\c\n<&'>,d\x1b\ufffd") {
		t.Errorf("JSON: %v %.40q", err, object["agent"])
	}
	var element struct {
		ID    string `xml:"id,attr"`
		Agent string `xml:",chardata"`
	}
	if err := xml.Unmarshal([]byte(line(`<r id="$context.requestId">$context.identity.userAgent</r>`)), &element); err != nil || !strings.HasPrefix(element.Agent, "a\"b\\c\ufffd<&'>,d\ufffd") {
		t.Errorf("XML: %v %.40q", err, element.Agent)
	}
	text := line("csv")
	record, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil || len(record) != 11 || !strings.HasPrefix(record[4], "a\"b\\c\ufffd<&'>,d\ufffd") {
		t.Errorf("CSV: %v %d %.40q", err, len(record), text)
	}
	if text = line(`$context.requestId "$context.identity.userAgent"`); !strings.Contains(text, `"a\"b\\c\n<&'>`) {
		t.Errorf("text: %.80q", text)
	}
}

// What nobody has is a dash, and what failed says why.
func TestFormatFailures(t *testing.T) {
	f := func(ex *proxy.Exchange, format, want string) {
		t.Helper()
		compiled, err := parseFormat(format+" $context.requestId", config.RESTType, shared)
		if err != nil {
			t.Fatal(err)
		}
		got, _, _ := strings.Cut(string(compiled.append(nil, ex)), " 5b2d")
		if got != want {
			t.Errorf("%s: got %s, want %s", format, got, want)
		}
	}
	const all = `$context.error.responseType $context.error.message $context.error.messageString $context.error.validationErrorString $context.integration.error $context.authorizer.error $context.authorize.status`
	f(full(), all, "- - - - - - -")
	f(full(), "$context.integration.status $context.integrationLatency $context.integration.latency $context.authorizer.latency $context.dataProcessed $context.waf.status $context.xrayTraceId", "200 3 3 0 3412 - -")
	ex := full()
	ex.Notes.BackendStatus, ex.Times.Integration = 0, 0
	f(ex, "$context.integrationStatus $context.integrationLatency $context.routeKey $context.endpointType $context.tlsVersion", "- - GET /pets/{id} REGIONAL -")
	ex.Fault = &proxy.Fault{Kind: proxy.BadRequestBody, Message: `say "no"`, Detail: "[x]"}
	f(ex, all, `BAD_REQUEST_BODY say \"no\" "say \"no\"" [x] - - -`)
	ex.Fault = &proxy.Fault{Kind: proxy.IntegrationTimeout, Cause: errors.New("29 s")}
	f(ex, "$context.integrationErrorMessage $context.authorizer.error", "29 s -")
	ex.Fault, ex.Reply.Status = &proxy.Fault{Kind: proxy.AccessDenied, Cause: errors.New("explicit deny")}, 403
	f(ex, "$context.integration.error $context.authorizer.error $context.authorize.status", "- explicit deny 403")
	ex.Caller.Key = "abcdefghijklmnopqrstuvwxyz0123"
	f(ex, "$context.identity.apiKey", "**********yz0123")
	ex.In.TLS, ex.In.Private = &proxy.TLS{Version: "TLSv1.3", CipherSuite: "TLS_AES_128_GCM_SHA256"}, true
	f(ex, "$context.tlsVersion $context.cipherSuite $context.endpointType", "TLSv1.3 TLS_AES_128_GCM_SHA256 PRIVATE")
}

func TestCheck(t *testing.T) {
	f := func(log config.AccessLog, want string) {
		t.Helper()
		findings := Check(staged(stageLog(log)), shared)
		if got := findings.Text(); want == "" && len(findings) > 0 || !strings.Contains(got, want) {
			t.Errorf("%+v: got %q, want %q", log, got, want)
		}
	}
	f(config.AccessLog{Format: "clf"}, "")
	f(config.AccessLog{}, "")
	f(config.AccessLog{Format: "$context.requestId $context.nothing"}, `there is no context variable "nothing"`)
	f(config.AccessLog{Format: "$context.requestId $context.requestid"}, `there is no context variable "requestid"`)
	f(config.AccessLog{Format: "$context.status"}, "neither $context.requestId nor")
	f(config.AccessLog{Format: "$context.requestId $input.body"}, `"$"`)
	f(config.AccessLog{Format: "$context.requestId\n$context.status"}, "several lines")
	f(config.AccessLog{Format: "$context.requestId" + strings.Repeat("x", 3<<10)}, "at most 3072")
	f(config.AccessLog{Output: "syslog+udp://127.0.0.1"}, "a host and a port")
	f(config.AccessLog{Output: "syslog+unix://dev/log"}, "whole path")
	f(config.AccessLog{Output: "syslog+dtls://h:1"}, "udp, tcp, tls and unix")
	f(config.AccessLog{Output: "syslog+tls://h"}, "a host and a port")
	f(config.AccessLog{Output: "syslog+tls://h:1?ca=/nowhere"}, "no such file")
	f(config.AccessLog{Output: "syslog+tls://h:6514?facility=auth"}, "")
	f(config.AccessLog{Output: "syslog+udp://h:1?facility=local9"}, `no facility "local9"`)
	f(config.AccessLog{Output: "syslog+udp://h:1?app=a%20b"}, "app has 1 to 48")
	f(config.AccessLog{Output: "syslog+udp://h:1?tag=x"}, `no "tag"`)
	f(config.AccessLog{Output: "syslog+udp://[::1]:514?facility=auth&app=gw"}, "")
	at := Check(staged(config.Stage{Log: &config.StageLog{Execution: &config.ExecutionLog{Output: "syslog+x://"}}}), shared)
	if len(at) != 1 || at[0].Key != "api.pets.stage.prod.log.execution.output" {
		t.Errorf("%v", at)
	}
}

// A stage's lines go where it says, from one configuration to the next.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	ob := newObserver(t, Options{Log: config.Log{Access: filepath.Join(dir, "gateway")}, Variable: shared})
	stage, ex := ob.Stage("pets", "prod"), full()
	canary := ob.Canary("pets", "prod")
	follow := func(s config.Stage) {
		t.Helper()
		cfg := staged(s)
		cfg.Log.Access = filepath.Join(dir, "gateway")
		if err := ob.Follow(cfg); err != nil {
			t.Fatal(err)
		}
		stage.Record(ex)
	}
	follow(config.Stage{})
	follow(stageLog(config.AccessLog{Format: "$context.requestId own"}))
	follow(stageLog(config.AccessLog{Output: filepath.Join(dir, "stage")}))
	follow(stageLog(config.AccessLog{Format: "$context.requestId $context.status", Output: filepath.Join(dir, "stage")}))
	canary.Record(ex)
	follow(stageLog(config.AccessLog{Output: Off}))
	// A file that can't be opened leaves the stage where it was.
	cfg := staged(stageLog(config.AccessLog{Output: filepath.Join(dir, "no", "such")}))
	cfg.Log.Access = filepath.Join(dir, "gateway")
	if err := ob.Follow(cfg); err == nil {
		t.Error("no error")
	}
	if err := ob.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := read("gateway"); strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, `{"time":`) || !strings.HasSuffix(got, "5b2d7a55-7d4c-4b7e-9d6e-8f9f5a3b1c2d own\n") {
		t.Errorf("gateway: %s", got)
	}
	got := strings.Split(read("stage"), "\n")
	if len(got) != 4 || !strings.Contains(got[0], `"stage":"prod"`) || got[1] != ex.ID+" 200" || got[2] != got[1] {
		t.Errorf("stage: %q", got)
	}
	// A rotated file is opened anew.
	follow(stageLog(config.AccessLog{Format: "$context.requestId", Output: filepath.Join(dir, "stage")}))
	if err := errors.Join(ob.Flush(), os.Rename(filepath.Join(dir, "stage"), filepath.Join(dir, "old")), ob.Reopen()); err != nil {
		t.Fatal(err)
	}
	stage.Record(ex)
	if err := ob.Close(); err != nil {
		t.Fatal(err)
	}
	if read("stage") != ex.ID+"\n" {
		t.Errorf("after the rotation: %q", read("stage"))
	}
	if ob.Dropped() != 0 {
		t.Errorf("%d dropped", ob.Dropped())
	}
}

// An exchange that no route took has what there is.
func TestFormatWithoutRoute(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Variable: shared})
	stage := ob.Stage("pets", "prod")
	if err := ob.Follow(staged(stageLog(config.AccessLog{Format: "$context.identity.sourceIp [$context.resourcePath] $context.requestId", Output: path}))); err != nil {
		t.Fatal(err)
	}
	ex := full()
	ex.Route = nil
	stage.Record(ex)
	if ex.Route != nil {
		t.Error("the exchange was changed")
	}
	_ = ob.Flush()
	if text, _ := os.ReadFile(path); string(text) != "192.0.2.7 [-] "+ex.ID+"\n" {
		t.Errorf("%q", text)
	}
}

// A pipe that nobody reads costs the stage's lines, and nothing else.
func TestBlockedStageLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	core, logs := observer.New(zapcore.WarnLevel)
	registry := prometheus.NewRegistry()
	ob := newObserver(t, Options{Log: config.Log{Access: Off}, Variable: shared, Stdout: w, Buffer: 64 << 10, Logger: zap.New(core), Registry: registry})
	stage := ob.Stage("pets", "prod")
	if err := ob.Follow(staged(stageLog(config.AccessLog{Format: "json", Output: "stdout"}))); err != nil {
		t.Fatal(err)
	}
	ex, begin := full(), time.Now()
	for range 5000 {
		stage.Record(ex)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("5000 records took %v", took)
	}
	if n := ob.Dropped(); n == 0 || gathered(t, registry, "postern_access_log_dropped_lines_total") != float64(n) {
		t.Errorf("%d dropped", n)
	}
	_ = ob.Close()
	if logs.Len() != 1 {
		t.Errorf("%d warnings, want 1", logs.Len())
	}
}

var message = regexp.MustCompile(`^<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ postern \d+ stage-log - (.*)$`)

// Each line is a message of RFC 5424, however it travels.
func TestSyslog(t *testing.T) {
	f := func(address string, accept func() io.Reader, read func(r *bufio.Reader) string) {
		t.Helper()
		ob := newObserver(t, Options{Log: config.Log{Access: Off}, Variable: shared})
		stage := ob.Stage("pets", "prod")
		if err := ob.Follow(staged(stageLog(config.AccessLog{Format: "$context.requestId", Output: address}))); err != nil {
			t.Fatal(err)
		}
		ex := full()
		for range 3 {
			stage.Record(ex)
		}
		go func() { _ = ob.Flush() }()
		r := bufio.NewReaderSize(accept(), 64<<10)
		for range 3 {
			text := read(r)
			if m := message.FindStringSubmatch(text); m == nil || m[1] != ex.ID {
				t.Errorf("%s: %q", address, text)
			}
		}
		if err := ob.Close(); err != nil {
			t.Error(err)
		}
	}
	datagram := func(r *bufio.Reader) string {
		b := make([]byte, 64<<10)
		n, err := r.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	counted := func(r *bufio.Reader) string {
		digits, err := r.ReadString(' ')
		n, bad := strconv.Atoi(strings.TrimSuffix(digits, " "))
		b := make([]byte, max(n, 0))
		if _, short := io.ReadFull(r, b); err != nil || bad != nil || short != nil {
			t.Fatal(err, bad, short)
		}
		return string(b)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	f("syslog+udp://"+udp.LocalAddr().String(), func() io.Reader { return udp.(*net.UDPConn) }, datagram)
	path := filepath.Join(t.TempDir(), "log")
	unix, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	f("syslog+unix://"+path, func() io.Reader { return unix }, datagram)
	for _, network := range []string{"tcp", "unix"} {
		at := "127.0.0.1:0"
		if network == "unix" {
			at = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f("syslog+"+network+"://"+l.Addr().String(), func() io.Reader {
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}, counted)
	}
}

// A server that is away costs its lines; those after its return arrive.
func TestSyslogAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, err := newSyslog("syslog+unix://"+path, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("lost\n")); err == nil {
		t.Error("no error")
	}
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("lost too\n")); err == nil {
		t.Error("it was tried again at once")
	}
	s.retry = time.Now()
	if n, err := s.Write([]byte("one\ntwo\n")); n != 8 || err != nil {
		t.Error(n, err)
	}
	// A restart in between costs nothing.
	_ = l.Close()
	_ = os.Remove(path)
	if l, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n, err := s.Write([]byte("three\n")); n != 6 || err != nil {
		t.Error(n, err)
	}
	b := make([]byte, 4096)
	n, err := l.Read(b)
	if err != nil || !strings.HasSuffix(string(b[:n]), " - three") {
		t.Errorf("%q %v", b[:n], err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Write([]byte("late\n")); err == nil {
		t.Error("a closed one took a line")
	}
}

func BenchmarkFormat(b *testing.B) {
	for _, format := range []string{"clf", "json"} {
		b.Run(format, func(b *testing.B) {
			ob := newObserver(b, Options{Log: config.Log{Access: Off}, Variable: shared, Stdout: io.Discard})
			stage, ex := ob.Stage("pets", "prod"), full()
			if err := ob.Follow(staged(stageLog(config.AccessLog{Format: format, Output: "stdout"}))); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				stage.Record(ex)
			}
		})
	}
}
