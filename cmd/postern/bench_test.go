package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
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

// many is a configuration of that many APIs with routes that map templates.
func many(apis, routes int, version string) string {
	var b strings.Builder
	b.WriteString("listen.public.address = \"127.0.0.1:0\"\n[gateway]\ndeploy = \"manual\"\n[backend.b]\ntargets = [\"10.1.0.1:80\"]\n")
	for a := range apis {
		fmt.Fprintf(&b, "[api.a%d]\ntype = \"rest\"\n[api.a%d.stage.prod]\n", a, a)
		for i := range routes {
			fmt.Fprintf(&b, "[api.a%d.route.\"GET /resource%d/{id}/part%d\"]\n", a, i/5, i)
			fmt.Fprintf(&b, "integration = { type = \"http_proxy\", backend = \"b\", url = \"http://example.com/%s/x%d/{id}\", timeout = \"10s\" }\n", version, i)
		}
	}
	return b.String()
}

// begun returns a gateway that serves text; the caller closes it.
func begun(b *testing.B, text string) *gateway {
	b.Helper()
	file := filepath.Join(b.TempDir(), "postern.toml")
	if err := writeConfig(file, text); err != nil {
		b.Fatal(err)
	}
	return begunFrom(b, file)
}

// begunFrom is begun for a configuration in a file.
func begunFrom(b *testing.B, file string) *gateway {
	b.Helper()
	cfg, findings := config.Load(file)
	if findings.Failed() {
		b.Fatal(findings.Text())
	}
	var out output
	g, err := newGateway(file, cfg, new(sockets), &streams{&out, &out})
	if err != nil {
		b.Fatal(err)
	}
	if err := g.start(context.Background(), cfg, nil, time.Now()); err != nil {
		b.Fatal(err)
	}
	return g
}

// BenchmarkRollback has the stage of an API serve one deployment and another, from the
// decision to the swap: of 1,000 routes, and of one of 100 APIs of 100. The goal is less
// than 10 ms.
func BenchmarkRollback(b *testing.B) {
	f := func(apis, routes int) {
		b.Run(fmt.Sprintf("%dx%d", apis, routes), func(b *testing.B) {
			g := begun(b, many(apis, routes, "v1"))
			defer g.close()
			if err := writeConfig(g.file, many(apis, routes, "v2")); err != nil {
				b.Fatal(err)
			}
			d := g.deployer()
			if _, err := d.Deploy(context.Background(), "a0", "prod", "", "test"); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			began := spent(b)
			for i := 0; b.Loop(); i++ {
				if _, err := d.Rollback(context.Background(), "a0", "prod", 1+i%2, "test"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((spent(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
	f(1, 1000)
	f(100, 100)
}

// spent returns the processor time of the process so far: what others do on the machine
// isn't in it.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStart loads and serves 100 APIs of 100 routes that were deployed before. The
// goal is less than 2 s.
func BenchmarkStart(b *testing.B) {
	g := begun(b, many(100, 100, "v1"))
	file := g.file
	g.close()
	for b.Loop() {
		g := begunFrom(b, file)
		b.StopTimer()
		g.close()
		b.StartTimer()
	}
}
