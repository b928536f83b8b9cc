package plugins

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// HTTPWasmAlone returns a function that has the module answer requests as a filter
// without a gateway around it; there is nothing behind it.
func HTTPWasmAlone(t *testing.T, module string) func(*http.Request) (*http.Response, error) {
	r, steps := filterSteps(t, newHost(t, Options{}), module)
	return func(request *http.Request) (*http.Response, error) {
		ex := r.exchange()
		ex.Method, ex.In.Method, ex.Path = request.Method, request.Method, request.URL.Path
		for name := range request.Header {
			ex.In.Fields = append(ex.In.Fields, http1.NewField(name, request.Header.Get(name)))
		}
		verdict, err := steps[proxy.MethodRequest].Run(context.Background(), ex)
		if err == nil && verdict == proxy.Continue {
			ex.Reply.Status = 200
			_, err = steps[proxy.MethodResponse].Run(context.Background(), ex)
		}
		answer := &http.Response{StatusCode: ex.Reply.Status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(ex.Reply.Content))}
		for i := range ex.Reply.Fields {
			answer.Header.Add(ex.Reply.Fields[i].Name, ex.Reply.Fields[i].Value)
		}
		return answer, err
	}
}
