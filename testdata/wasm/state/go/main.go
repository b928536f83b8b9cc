//go:build wasip1

// Command state uses the groups that have to be granted, as header x-do says; x-in
// is an address.
package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	s := new(state)
	postern.Configure(s.configure)
	postern.FilterRequests(s.request)
}

func main() {} // the gateway calls the methods; this never runs

type state struct{ counter, gauge, histogram postern.Metric }

func (s *state) configure([]byte) error {
	var one, two, three error
	s.counter, one = postern.DefineMetric(postern.Counter, "calls")
	s.gauge, two = postern.DefineMetric(postern.Gauge, "level")
	s.histogram, three = postern.DefineMetric(postern.Histogram, "size")
	return errors.Join(one, two, three)
}

func (s *state) request(r *postern.Request, to *postern.Response) postern.Verdict {
	answer := ""
	switch r.Header("x-do") {
	case "kv":
		answer = values()
	case "metric":
		answer = "0"
		if err := errors.Join(s.counter.Add(2), s.gauge.Set(-7), s.histogram.Observe(100)); err != nil {
			answer = err.Error()
		}
	default:
		answer = fetch(r.Header("x-in"))
	}
	to.SetStatus(200)
	to.Headers().Set("content-type", "text/plain")
	to.Body().WriteString(answer)
	return postern.Respond
}

func value() string {
	if b := postern.KVGet("a"); b != nil {
		return string(b)
	}
	return "none"
}

func values() string {
	before := value()
	err := postern.KVSet("a", []byte("one"), 0)
	set := value()
	wrong, _ := postern.KVCompareAndSet("a", []byte("two"), []byte("three"), 0)
	right, _ := postern.KVCompareAndSet("a", []byte("one"), []byte("three"), 0)
	swapped := value()
	two, _ := postern.KVAdd("n", 2, 0)
	five, _ := postern.KVAdd("n", 3, 0)
	_ = postern.KVDelete("a")
	_ = postern.KVDelete("n")
	return fmt.Sprint(before, " ", digit(err != nil), " ", set, " ", digit(wrong), " ", digit(right), " ", swapped, " ", two, " ", five, " ", value())
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func fetch(url string) string {
	one, err := (&postern.Call{Method: "POST", URL: url, Headers: []postern.Header{{Name: "X-Ask", Value: "c"}}, Body: []byte("ping")}).Send()
	if errors.Is(err, postern.Denied) {
		return "-2"
	}
	other, _ := (&postern.Call{URL: url, Timeout: time.Second}).Send()
	status, _ := one.Status()
	content, _ := io.ReadAll(one)
	second, _ := other.Status()
	return fmt.Sprint(status, " ", one.Header("x-say"), " ", string(content), " ", second)
}
