// Command proxywasm is a plugin for tests, built with the Go SDK of proxy-wasm as
// one for Envoy is: GOOS=wasip1 go build -buildmode=c-shared. The request header
// X-Do says what it does: words divided by spaces.
package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() { proxywasm.SetVMContext(&machine{}) }

type machine struct{ types.DefaultVMContext }

func (*machine) OnVMStart(size int) types.OnVMStartStatus {
	b, err := proxywasm.GetVMConfiguration()
	proxywasm.LogInfof("machine: %d %s %v", size, b, err)
	return true
}

func (*machine) NewPluginContext(id uint32) types.PluginContext { return &plugin{id: id} }

// plugin is what the instance knows besides its requests.
type plugin struct {
	types.DefaultPluginContext
	id        uint32
	postponed []uint32
	ticks     int
	counter   proxywasm.MetricCounter
	queue     uint32
}

func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	b, err := proxywasm.GetPluginConfiguration()
	proxywasm.LogInfof("plugin: %d %s %v", size, b, err)
	if string(b) == "refuse" {
		return false
	}
	if string(b) == "tick" {
		if err := proxywasm.SetTickPeriodMilliSeconds(20); err != nil {
			panic(err)
		}
	}
	p.counter = proxywasm.DefineCounterMetric("guest.requests_total")
	if p.queue, err = proxywasm.RegisterSharedQueue("jobs"); err != nil {
		panic(err)
	}
	return true
}

func (p *plugin) OnTick() {
	p.ticks++
	for _, id := range p.postponed {
		if err := proxywasm.SetEffectiveContext(id); err != nil {
			proxywasm.LogErrorf("context %d: %v", id, err)
		}
		if err := proxywasm.AddHttpRequestHeader("x-resumed", "by a tick"); err != nil {
			proxywasm.LogErrorf("header: %v", err)
		}
		if err := proxywasm.ResumeHttpRequest(); err != nil {
			proxywasm.LogErrorf("resume: %v", err)
		}
	}
	p.postponed = nil
}

func (p *plugin) OnQueueReady(id uint32) {
	b, err := proxywasm.DequeueSharedQueue(id)
	proxywasm.LogInfof("queue %d: %s %v", id, b, err)
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext { return &stream{id: id, plugin: p} }

// stream is one request and its response.
type stream struct {
	types.DefaultHttpContext
	id     uint32
	plugin *plugin

	do     map[string]string // word, or word=value
	chunks int
	memory string // from the request, for the response
}

func (s *stream) says(word string) bool {
	_, ok := s.do[word]
	return ok
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *stream) OnHttpRequestHeaders(n int, end bool) types.Action {
	s.do = map[string]string{}
	list, _ := proxywasm.GetHttpRequestHeader("x-do")
	for _, word := range strings.Fields(list) {
		word, value, _ := strings.Cut(word, "=")
		s.do[word] = value
	}
	s.plugin.counter.Increment(1)
	s.memory = fmt.Sprintf("%d headers, end %v", n, end)
	if s.says("headers") {
		all, err := proxywasm.GetHttpRequestHeaders()
		must(err)
		if len(all) != n {
			panic("other headers than announced")
		}
		must(proxywasm.AddHttpRequestHeader("X-Added", "one"))
		must(proxywasm.AddHttpRequestHeader("X-Added", "two"))
		must(proxywasm.ReplaceHttpRequestHeader("x-replaced", "new"))
		must(proxywasm.RemoveHttpRequestHeader("x-removed"))
	}
	if s.says("rewrite") { // all of them anew, one changed
		all, err := proxywasm.GetHttpRequestHeaders()
		must(err)
		for i := range all {
			if all[i][0] == "x-replaced" {
				all[i][1] = "rewritten"
			}
		}
		must(proxywasm.ReplaceHttpRequestHeaders(all))
	}
	if query, ok := s.do["query"]; ok {
		path, err := proxywasm.GetHttpRequestHeader(":path")
		must(err)
		path, _, _ = strings.Cut(path, "?")
		must(proxywasm.ReplaceHttpRequestHeader(":path", path+"?"+query))
	}
	if s.says("elsewhere") {
		s.memory = fmt.Sprint(proxywasm.ReplaceHttpRequestHeader(":authority", "other.example"))
	}
	if path, ok := s.do["property"]; ok {
		s.memory = s.property(path)
	}
	if s.says("state") {
		must(proxywasm.SetProperty([]string{"mine", "key"}, []byte("kept")))
	}
	if s.says("panic") {
		panic("as told")
	}
	if s.says("loop") {
		for i := 0; ; i++ {
			s.chunks += i
		}
	}
	if s.says("deny") {
		must(proxywasm.SendHttpResponse(403, [][2]string{{"x-denied-by", "proxy-wasm"}, {"content-type", "text/plain"}}, []byte("denied"), -1))
		return types.ActionPause
	}
	if s.says("unauthorized") {
		must(proxywasm.SendHttpResponse(401, nil, nil, -1))
		return types.ActionPause
	}
	if s.says("postpone") {
		s.plugin.postponed = append(s.plugin.postponed, s.id)
		return types.ActionPause
	}
	if upstream, ok := s.do["call"]; ok {
		return s.dispatch(upstream)
	}
	if s.says("after-body") { // the header depends on the content
		return types.ActionPause
	}
	return types.ActionContinue
}

func (s *stream) property(path string) string {
	b, err := proxywasm.GetProperty(strings.Split(path, "."))
	if err != nil {
		return err.Error()
	}
	if strings.HasSuffix(path, "port") || strings.HasSuffix(path, "code") || strings.HasSuffix(path, "size") {
		return strconv.FormatUint(binary.LittleEndian.Uint64(b), 10)
	}
	return string(b)
}

func (s *stream) dispatch(upstream string) types.Action {
	headers := [][2]string{{":method", "POST"}, {":path", "/check?x=1"}, {":authority", upstream}, {"x-asked-by", "guest"}}
	_, err := proxywasm.DispatchHttpCall(upstream, headers, []byte("question"), nil, 2000, func(n, size, _ int) {
		if n == 0 {
			must(proxywasm.SendHttpResponse(503, nil, []byte("no answer"), -1))
			return
		}
		all, err := proxywasm.GetHttpCallResponseHeaders()
		must(err)
		b, err := proxywasm.GetHttpCallResponseBody(0, size)
		must(err)
		if all[0] != [2]string{":status", "200"} {
			must(proxywasm.SendHttpResponse(403, nil, []byte(all[0][1]+" "+string(b)), -1))
			return
		}
		must(proxywasm.AddHttpRequestHeader("x-answer", string(b)))
		must(proxywasm.ResumeHttpRequest())
	})
	if err != nil {
		must(proxywasm.SendHttpResponse(500, nil, []byte(err.Error()), -1))
	}
	return types.ActionPause
}

func (s *stream) OnHttpRequestBody(size int, end bool) types.Action {
	s.chunks++
	switch {
	case s.says("chunks"):
		must(proxywasm.AppendHttpRequestBody([]byte("|")))
	case s.says("remember"): // from content that may be on its way
		from, err := proxywasm.GetHttpRequestHeader("x-forwarded-for")
		must(err)
		must(proxywasm.SetProperty([]string{"mine", "from"}, []byte(strings.Repeat(from, 20))))
	case s.says("echo") && end:
		b, err := proxywasm.GetHttpRequestBody(0, size)
		must(err)
		must(proxywasm.SendHttpResponse(200, nil, b, -1))
		return types.ActionPause
	case s.says("hold"): // for ever
		return types.ActionPause
	case s.says("stop"): // in the midst of what is on its way
		must(proxywasm.SendHttpResponse(422, nil, []byte("stopped"), -1))
		return types.ActionPause
	case (s.says("whole") || s.says("echo") || s.says("after-body")) && !end:
		return types.ActionPause
	case s.says("whole"):
		b, err := proxywasm.GetHttpRequestBody(0, size)
		must(err)
		must(proxywasm.ReplaceHttpRequestBody([]byte("<" + strings.ToUpper(string(b)) + ">")))
	case s.says("end-panic"):
		panic("as told")
	case s.says("after-body"):
		must(proxywasm.AddHttpRequestHeader("x-size", strconv.Itoa(size)))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpRequestTrailers(int) types.Action {
	all, err := proxywasm.GetHttpRequestTrailers()
	proxywasm.LogInfof("request trailers: %v %v", all, err)
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(n int, end bool) types.Action {
	if s.says("headers") {
		must(proxywasm.AddHttpResponseHeader("X-Filtered", "by proxy-wasm"))
		must(proxywasm.RemoveHttpResponseHeader("x-powered-by"))
	}
	if s.says("memory") || s.says("property") || s.says("elsewhere") {
		must(proxywasm.AddHttpResponseHeader("x-memory", s.memory))
	}
	if path, ok := s.do["reply-property"]; ok {
		must(proxywasm.AddHttpResponseHeader("x-memory", s.property(path)))
	}
	if s.says("state") {
		must(proxywasm.AddHttpResponseHeader("x-memory", s.property("mine.key")))
	}
	if status, ok := s.do["status"]; ok {
		must(proxywasm.ReplaceHttpResponseHeader(":status", status))
	}
	if s.says("shared") {
		must(proxywasm.AddHttpResponseHeader("x-shared", strconv.Itoa(count())))
	}
	if s.says("ticks") {
		must(proxywasm.AddHttpResponseHeader("x-ticks", strconv.Itoa(s.plugin.ticks)))
	}
	if s.says("metric") {
		must(proxywasm.AddHttpResponseHeader("x-metric", strconv.FormatUint(s.plugin.counter.Value(), 10)))
	}
	if s.says("enqueue") {
		must(proxywasm.EnqueueSharedQueue(s.plugin.queue, []byte("job")))
	}
	if s.says("replace-reply") {
		must(proxywasm.SendHttpResponse(418, [][2]string{{"x-denied-by", "proxy-wasm"}}, []byte("teapot"), -1))
		return types.ActionPause
	}
	if s.says("late-panic") {
		panic("as told")
	}
	if s.says("reply-whole") {
		must(proxywasm.RemoveHttpResponseHeader("content-length"))
	}
	return types.ActionContinue
}

// count adds one to a shared number and returns it.
func count() int {
	for {
		b, cas, err := proxywasm.GetSharedData("count")
		if err != nil && err != types.ErrorStatusNotFound {
			panic(err)
		}
		n, _ := strconv.Atoi(string(b))
		switch err := proxywasm.SetSharedData("count", []byte(strconv.Itoa(n+1)), cas); err {
		case nil:
			return n + 1
		case types.ErrorStatusCasMismatch:
		default:
			panic(err)
		}
	}
}

func (s *stream) OnHttpResponseBody(size int, end bool) types.Action {
	switch {
	case s.says("reply-chunks"):
		if size > 0 {
			must(proxywasm.PrependHttpResponseBody([]byte("[")))
			must(proxywasm.AppendHttpResponseBody([]byte("]")))
		}
	case s.says("reply-whole") && !end:
		return types.ActionPause
	case s.says("reply-whole"):
		b, err := proxywasm.GetHttpResponseBody(0, size)
		if err != nil {
			b = nil
		}
		must(proxywasm.ReplaceHttpResponseBody([]byte("<" + strings.ToUpper(string(b)) + ">")))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpResponseTrailers(int) types.Action {
	all, err := proxywasm.GetHttpResponseTrailers()
	proxywasm.LogInfof("response trailers: %v %v", all, err)
	if s.says("trailers") {
		must(proxywasm.AddHttpResponseTrailer("x-trailer", "added"))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpStreamDone() {
	if s.says("log") {
		status, err := proxywasm.GetHttpResponseHeader(":status")
		proxywasm.LogInfof("done: %s %v %d chunks", status, err, s.chunks)
	}
}
