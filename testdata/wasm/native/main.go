//go:build wasip1

// The native guest of the plugin host's tests: it does what a request asks of
// it, mostly something bad.
package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	postern.Configure(configure)
	postern.Authorize(authorize)
	postern.Handle(handle)
}

func main() {}

var (
	calls  int
	keep   [][]byte
	config string
)

func configure(text []byte) error {
	config = string(text)
	if strings.Contains(config, "refuse") {
		return os.ErrInvalid
	}
	return nil
}

func authorize(r *postern.Request) postern.Decision {
	calls++
	token := r.Header("Authorization")
	switch token {
	case "allow":
		r.SetPrincipal("user-1")
		r.SetContext("tenant", "acme")
		r.SetContext("calls", strconv.Itoa(calls))
		return postern.Allow
	case "deny":
		return postern.Deny
	case "nobody":
		return postern.Unauthenticated
	case "show":
		r.SetPrincipal(strings.Join([]string{
			r.Method(), r.Path(), r.RawQuery(), r.RouteKey(), r.Stage(), r.API(), r.ID(), r.SourceIP(), r.Host(), r.MethodARN(),
			r.Query("q a"), r.Query("none"), r.PathParam("id"), r.StageVariable("color"), r.Header("x-long"),
			strconv.FormatBool(r.Header("Connection") == ""), config,
		}, "|"))
		all := ""
		r.Headers(func(name, value string) bool { all += name + "=" + value[:min(len(value), 8)] + ";"; return true })
		r.SetContext("headers", all)
		all = ""
		r.Queries(func(name, value string) bool { all += name + "=" + value + ";"; return true })
		r.SetContext("queries", all)
		return postern.Allow
	case "limits":
		r.SetPrincipal("x")
		if r.SetPrincipal("\xff") || r.SetPrincipal(strings.Repeat("p", 4000)) || r.SetContext("", "x") {
			return postern.Deny
		}
		n := 0
		for r.SetContext("k"+strconv.Itoa(n), "v") {
			n++
		}
		r.SetContext("k0", strconv.Itoa(n))
		return postern.Allow
	case "logs":
		n := 0
		for postern.Log(postern.Info, "flood") {
			n++
		}
		r.SetPrincipal(strconv.Itoa(n))
		return postern.Allow
	case "print":
		os.Stderr.WriteString("first line\nsecond \x1b[31mline\nno end")
		return postern.Allow
	case "sleep":
		time.Sleep(time.Minute)
		return postern.Allow
	case "nap":
		time.Sleep(5 * time.Millisecond)
		return postern.Allow
	case "fail":
		postern.Fail(7, "no keys")
		return postern.Allow
	case "wrong phase":
		return postern.Decision(10 - rawEventRead(nil, 0)) // -3 becomes 13
	}
	return misbehave(token)
}

func misbehave(how string) postern.Decision {
	switch how {
	case "panic":
		panic("as asked")
	case "exit":
		os.Exit(3)
	case "loop":
		for n := 0; ; n++ {
			if n < 0 {
				return postern.Allow
			}
		}
	case "recurse":
		return postern.Decision(recurse(1))
	case "grow":
		for {
			keep = append(keep, make([]byte, 1<<20))
		}
	case "leak":
		keep = append(keep, bytes.Repeat([]byte{1}, 1<<20))
		return postern.Allow
	case "bad pointer":
		rawFieldGet(1, unsafe.Pointer(uintptr(0xfffffff0)), 4096)
		return postern.Allow
	case "bad length":
		rawLog(1, unsafe.Pointer(&config), 0xffffffff)
		return postern.Allow
	}
	n, err := strconv.Atoi(how)
	if err != nil {
		return 0
	}
	return postern.Decision(n)
}

//go:noinline
func recurse(n int) int { return recurse(n+1) + 1 }

//go:wasmimport postern_v1 field_get
func rawFieldGet(field int32, at unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 log
func rawLog(level int32, at unsafe.Pointer, n uint32) int32

//go:wasmimport postern_v1 event_read
func rawEventRead(at unsafe.Pointer, size uint32) int32

func handle(e postern.Event) postern.Answer {
	calls++
	has := func(s string) bool { return bytes.Contains(e, []byte(`"x-do":"`+s+`"`)) }
	switch {
	case has("echo"):
		return postern.Answer{Status: 201, Headers: []postern.Header{{"X-One", "1"}, {"X-Two", "a"}, {"X-Two", "b"}}, Body: string(e)}
	case has("remap"):
		return postern.Answer{Headers: []postern.Header{
			{"Date", "d"}, {"Server", "s"}, {"Connection", "c"}, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}, {"Upgrade", "u"},
		}}
	case has("split"):
		return postern.Answer{Headers: []postern.Header{{"X-A", "1\r\nSet-Cookie: evil=1"}}}
	case has("status"):
		return postern.Answer{Status: 101}
	case has("garbage"):
		return postern.Answer{JSON: []byte("not json")}
	case has("huge"):
		return postern.Answer{Body: strings.Repeat("x", 11<<20)}
	case has("big"):
		return postern.Answer{Body: strings.Repeat("x", 3<<20)}
	case has("empty"):
		return postern.Answer{JSON: []byte("{}")}
	case has("loop"):
		misbehave("loop")
	case has("panic"):
		misbehave("panic")
	case has("fail"):
		postern.Fail(1, "backend is gone")
	}
	return postern.Answer{Body: strconv.Itoa(calls)}
}
