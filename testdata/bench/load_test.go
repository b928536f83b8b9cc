package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	const told = `Running 1s test @ http://127.0.0.1:18081/k1
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   192.86us  340.39us   3.91ms   93.86%
  18351 requests in 1.10s, 22.12MB read
Requests/sec:  16689.28
`
	f := func(figures string, want load, wrong string) {
		t.Helper()
		got, err := parseWrk(told + figures)
		if wrong != "" {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("got error %v, want one about %q", err, wrong)
			}
			return
		}
		if err != nil || got != want {
			t.Errorf("%s\n got %+v, %v\nwant %+v", figures, got, err, want)
		}
	}
	// A run without errors.
	f("figures requests=18351 us=1100123 bytes=23194532 connect=0 read=0 write=0 timeout=0 status=0 p50=193 p99=1875\n",
		load{requests: 18351, length: 1100123 * time.Microsecond, bytes: 23194532, p50: 193 * time.Microsecond, p99: 1875 * time.Microsecond}, "")
	// Answers above 399 are failures, and aren't answered requests any more.
	f("figures requests=100 us=1000000 bytes=1 connect=0 read=3 write=0 timeout=2 status=40 p50=1 p99=2\n",
		load{requests: 60, failures: 45, detail: "3 read 2 timeout 40 status", length: time.Second, bytes: 1, p50: time.Microsecond, p99: 2 * time.Microsecond}, "")
	// wrk that couldn't begin says so without figures.
	f("unable to connect to 127.0.0.1:1 Connection refused\n", load{}, "Connection refused")
	f("figures requests=100 us=1.5e6 bytes=1 connect=0 read=3 write=0 timeout=2 status=40 p50=1 p99=2\n", load{}, "us=1.5e6")
}

func TestParseH2load(t *testing.T) {
	f := func(text string, want load, wrong string) {
		t.Helper()
		got, err := parseH2load(text)
		if wrong != "" {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("got error %v, want one about %q", err, wrong)
			}
			return
		}
		if err != nil || got != want {
			t.Errorf("%s\n got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	// Version 1.52, by time.
	f(`Stopped all clients for thread #0

finished in 1.00s, 28137.00 req/s, 33.92MB/s
requests: 28137 total, 28141 started, 28137 done, 28137 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 28137 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 33.92MB (35565168) total, 5.07MB (5318649) headers (space savings 0.00%), 27.48MB (28816384) data
                     min         max         mean         sd        +/- sd
time for request:       31us      3.62ms       141us       187us    92.10%
`, load{requests: 28137, length: time.Second, bytes: 35565168}, "")
	// By number, with statuses that aren't wanted: it counts them as failed.
	f(`finished in 1.14ms, 4374.45 req/s, 1.28MB/s
requests: 5 total, 5 started, 5 done, 0 succeeded, 5 failed, 0 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 5 4xx, 0 5xx
traffic: 1.50KB (1540) total, 545B (545) headers (space savings 0.00%), 765B (765) data
`, load{failures: 5, detail: "5 failed, 0 of them errored, 0 timeout, 5 not 2xx", length: 1140 * time.Microsecond, bytes: 1540}, "")
	// A redirection is a success for h2load, and none for us.
	f(`finished in 565us, 0.00 req/s, 0B/s
requests: 5 total, 5 started, 5 done, 5 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 3 2xx, 2 3xx, 0 4xx, 0 5xx
traffic: 0B (0) total, 0B (0) headers (space savings 0.00%), 0B (0) data
`, load{requests: 3, failures: 2, detail: "2 not 2xx", length: 565 * time.Microsecond}, "")
	f("could not resolve localhost\n", load{}, "could not resolve")
	f("finished in 1.00s, 1 req/s\nrequests: x total\n", load{}, "x total")
}

func TestParseH2loadLog(t *testing.T) {
	p50, p99, err := parseH2loadLog([]byte("1795309880563840\t200\t203\n1795309880563831\t200\t239\n1795309880563834\t200\t237\n"))
	if p50 != 237*time.Microsecond || p99 != 239*time.Microsecond || err != nil {
		t.Errorf("got %v, %v, %v", p50, p99, err)
	}
	for _, bad := range []string{"", "1\t200\n", "1\t200\tx\n"} {
		if _, _, err := parseH2loadLog([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestParsePerf(t *testing.T) {
	n, err := parsePerf("# started on Sun\n\n112575,,instructions:u,313430,100.00,,\n470213,,instructions:k,313430,100.00,,\n")
	if n != 582788 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	for _, bad := range []string{
		"<not supported>,,instructions:u,0,100.00,,\n<not supported>,,instructions:k,0,100.00,,\n",
		"112575,,instructions:u,313430,100.00,,\n", // the kernel's are forbidden
		"",
	} {
		if _, err := parsePerf(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
