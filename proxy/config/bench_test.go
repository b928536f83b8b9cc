package config

import (
	"fmt"
	"strings"
	"testing"
)

// thousand is a configuration with a thousand routes, as teams write it.
func thousand() string {
	var b strings.Builder
	b.WriteString("[listen.public]\naddress = \":8080\"\n[api.big]\ntype = \"rest\"\n[api.big.stage.prod]\nvariables = { host = \"127.0.0.1\" }\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "\n[api.big.route.\"GET /r%d/{id}/x\"]\nintegration = { type = \"http_proxy\", url = \"http://${stageVariables.host}:9000/r%d/{id}\", timeout = \"10s\" }\n", i, i)
		if i%4 == 0 {
			fmt.Fprintf(&b, "[api.big.route.\"POST /r%d\"]\nintegration = { type = \"mock\" }\n[api.big.route.\"POST /r%d\".response.default]\nstatus = 201\nheaders = { \"X-Kind\" = \"mock\" }\ntemplate.\"application/json\" = '{\"ok\":true}'\n", i, i)
		}
	}
	return b.String()
}

// Each reload pays this: TOML parsing, places, checks and decoding of 1,250 routes.
func BenchmarkLoadThousandRoutes(b *testing.B) {
	text := []byte(thousand())
	if _, fs := Parse("postern.toml", text); len(fs) > 0 {
		b.Fatal(fs.Text())
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		Parse("postern.toml", text)
	}
}

func BenchmarkPlaces(b *testing.B) {
	src := newSource("postern.toml", 0, []byte(thousand()))
	b.SetBytes(int64(len(src.text)))
	b.ReportAllocs()
	for b.Loop() {
		scan(src)
	}
}

func BenchmarkSyntax(b *testing.B) {
	text := thousand()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeTOML(text); err != nil {
			b.Fatal(err)
		}
	}
}

// A file of the usual size: what a test or a small reload pays.
func BenchmarkLoadSmall(b *testing.B) {
	text := []byte("[listen.public]\naddress = \":8080\"\n[api.a]\ntype = \"rest\"\nstage.s = {}\nroute.\"GET /\".integration.type = \"mock\"\n")
	b.ReportAllocs()
	for b.Loop() {
		Parse("postern.toml", text)
	}
}
