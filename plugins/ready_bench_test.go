package plugins

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
	languages "github.com/postern-gateway/postern/sdk/guests"
)

// readyCall is a typical request to one of examples/plugins/ready.
type readyCall struct {
	source, config string
	kind           string // filter, authorizer, validator, mapper
	query          string
	fields         []string
	content, reply string
}

func readyCalls() map[string]readyCall {
	agent := []string{"Accept", "*/*", "User-Agent", "curl/8.5.0", "Accept-Encoding", "gzip, br", "Accept-Language", "en", "Cookie", "session=9f86d081884c7d65; variant=new"}
	with := func(more ...string) []string { return slices.Concat(agent, more) }
	body := `{"id":"evt_1","type":"order.created","data":{"order":{"id":17,"items":[{"sku":"a","n":2},{"sku":"b","n":1}]}}}`
	mac := hmac.New(sha256.New, []byte("a long secret"))
	mac.Write([]byte(body))
	query := `{"query":"query Q($id: ID!) { user(id: $id) { name posts(first: 10) { title comments { author { name } text } } ...F } } fragment F on User { mail tags { name } }","variables":{"id":"1"}}`
	var networks strings.Builder
	for a := range 100 {
		fmt.Fprintf(&networks, "\"10.%d.0.0/17\", ", a)
	}
	digest := "fabf5b9cdffabf52db7ca518d088d225d20b4b9ed700b4406eb19e5fd2a4e620"
	anna := with("Authorization", "Basic YW5uYTpvcGVuIHNlc2FtZQ==")
	redacted := `{"users":[{"name":"Ada","ssn":"123-45-6789","card":{"number":"4111111111111111"}},{"name":"Bob","password":"x"}],"next":null}`
	return map[string]readyCall{
		"headers": {source: "headers/plugin.rs", fields: agent,
			config: `{ request = { set = { X-Client = "{source_ip}", X-Route = "{route_key}" } }, response = { remove = ["Server"], set = { X-Frame-Options = "DENY" } } }`},
		"cors":      {source: "cors/plugin.ts", config: `{ origins = ["https://a.example.com", "https://*.example.org"], credentials = true }`, fields: with("Origin", "https://www.example.org")},
		"ip-filter": {source: "ip-filter/plugin.c", config: `{ deny = [` + networks.String() + `"2001:db8::/32"] }`, fields: agent},
		"webhook": {source: "webhook/plugin.rs", kind: "authorizer", config: `{ style = "github", secrets = ["a long secret"] }`, content: body,
			fields: with("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))},
		"basic-auth/sha256": {source: "basic-auth/plugin.zig", kind: "authorizer", fields: anna, config: `{ users = { anna = "sha256:s3a1t:` + digest + `" } }`},
		"basic-auth/pbkdf2-1000": {source: "basic-auth/plugin.zig", kind: "authorizer", fields: with("Authorization", "Basic YW5uYTpwYXNzd29yZA=="),
			config: `{ users = { anna = "pbkdf2-sha256:1000:salt:` + "632c2812e46d4604102ba7618e9d6d7d2f8128f6266b4a03264d2a0460b7dcb3" + `" } }`},
		"redact":        {source: "redact", config: `{ rules = [{ path = "$..password" }, { path = "$.users[*].ssn" }, { path = "$.users[*].card.number", action = "mask", keep = 4 }] }`, fields: agent, reply: redacted},
		"sign":          {source: "sign", kind: "mapper", config: `{ key_id = "gateway", secret = "0123456789abcdef", headers = ["X-Tenant"] }`, fields: with("X-Tenant", "a"), content: body},
		"maintenance":   {source: "maintenance/plugin.js", config: `{ from = "2999-01-01T00:00:00Z" }`, fields: agent},
		"split":         {source: "split/plugin.c", config: `{ variants = [{ name = "old", weight = 95 }, { name = "new", weight = 5 }] }`, fields: agent},
		"graphql-limit": {source: "graphql-limit/plugin.rs", kind: "validator", config: `{}`, fields: with("Content-Type", "application/json"), content: query},
		"waf":           {source: "waf/plugin.rs", config: `{}`, fields: with("Content-Type", "application/json"), content: body, query: "q=shoes&size=42&sort=price"},
	}
}

// steps makes the plugin's steps for one route.
func (c readyCall) steps(g *Generation, b proxy.Build) (proxy.Steps, error) {
	switch c.kind {
	case "authorizer":
		return g.newAuthorizer(b, proxy.Options{Plugin: "p"})
	case "validator":
		return g.newValidator(b, proxy.Options{Plugin: "p"})
	case "mapper":
		return g.newRequestMapper(b, proxy.Options{Plugin: "p"})
	}
	return g.newFilter(b, proxy.Options{Plugin: "p"})
}

// BenchmarkReady sends a typical request through all that a ready plugin does
// about it: its steps before and after the backend.
func BenchmarkReady(b *testing.B) {
	for name, c := range readyCalls() {
		b.Run(name, func(b *testing.B) {
			module := languages.Build(b, "examples/plugins/ready/"+c.source)
			g := begin(b, newHost(b, Options{}), pluginTOML(module, `timeout = "5s"`, "config = "+c.config))
			r := newRig(b)
			steps, err := c.steps(g, r.build())
			if err != nil {
				b.Fatal(err)
			}
			ex := r.exchange(c.fields...)
			if c.content != "" {
				ex.Method, ex.In.Method = "POST", "POST"
				ex.In.Content, ex.In.Length = []byte(c.content), int64(len(c.content))
			}
			if c.query != "" {
				ex.In.RawQuery = c.query
			}
			ctx, in, method := context.Background(), ex.In, ex.Method
			path, full := ex.Path, ex.FullPath
			given := slices.Clone(ex.In.Fields)
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(ex.Start, nil)
				fields := append(ex.In.Fields[:0], given...)
				ex.ID, ex.Route, ex.In, ex.Method, ex.Path, ex.FullPath = "id-1", r.route, in, method, path, full
				ex.In.Fields = fields
				if c.kind == "mapper" {
					ex.Out.Method, ex.Out.Target, ex.Out.Host = method, "/pets?a=1", "10.0.0.5:9000"
					ex.Out.Fields, ex.Out.Content = append(ex.Out.Fields[:0], given...), in.Content
				}
				ex.Reply.Status = 200
				ex.Reply.Fields = append(ex.Reply.Fields[:0], http1.NewField("Content-Type", "application/json"), http1.NewField("Server", "pets"))
				ex.Reply.Content = []byte(c.reply)
				for _, step := range steps {
					if step == nil {
						continue
					}
					if verdict, err := step.Run(ctx, ex); err != nil || verdict != proxy.Continue {
						b.Fatal(verdict, err)
					}
				}
			}
		})
	}
}
