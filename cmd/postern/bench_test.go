package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
)

// large is a configuration of n routes in ten APIs, with stages, backends, and
// domains. version is part of one answer.
func large(n int, version string) string {
	var b strings.Builder
	b.WriteString(mock(version))
	for i := range 20 {
		fmt.Fprintf(&b, "[backend.b%d]\ntargets = [\"10.1.0.%d:80\", \"10.1.1.%d:80\"]\n", i, i+1, i+1)
	}
	for a := range 10 {
		fmt.Fprintf(&b, "[api.a%d]\ntype = \"rest\"\n", a)
		for _, stage := range []string{"prod", "test"} {
			fmt.Fprintf(&b, "[api.a%d.stage.%s]\nvariables = { version = \"1\", host = \"example\" }\n", a, stage)
		}
		fmt.Fprintf(&b, "[domain.\"a%d.example.com\".map]\n\"/\" = \"a%d:prod\"\n\"/test\" = \"a%d:test\"\n", a, a, a)
		for i := range n / 10 {
			fmt.Fprintf(&b, "[api.a%d.route.\"GET /resource%d/{id}/part%d\"]\n", a, i/5, i)
			fmt.Fprintf(&b, "integration = { type = \"http_proxy\", backend = \"b%d\", url = \"http://example.com/x%d/{id}\", timeout = \"10s\" }\n", i%20, i)
		}
	}
	return b.String()
}

// BenchmarkReload is a reload of 1,000 routes of which one answer changed: from
// reading the file to the swap. The goal is less than 50 ms of CPU.
func BenchmarkReload(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "postern.toml")
	put := func(version string) {
		if err := writeConfig(file, large(1000, version)); err != nil {
			b.Fatal(err)
		}
	}
	put("0")
	cfg, findings := config.Load(file)
	if findings.Failed() {
		b.Fatal(findings.Text())
	}
	var out bytes.Buffer
	g, err := newGateway(file, cfg, new(sockets), &streams{&out, &out})
	if err != nil {
		b.Fatal(err)
	}
	defer g.close()
	if err := g.start(context.Background(), cfg, nil, time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		b.StopTimer()
		i++
		put(fmt.Sprint(i))
		b.StartTimer()
		if err := g.reload(context.Background(), causeSignal, false); err != nil {
			b.Fatal(err)
		}
	}
}
