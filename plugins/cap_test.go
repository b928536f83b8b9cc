package plugins

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/sdk/abi"
)

// caller calls host functions as a guest does, from an instance's own memory.
type caller struct {
	t  testing.TB
	in *instance
}

func newCaller(t testing.TB) *caller {
	t.Helper()
	return callerOf(t, begin(t, newHost(t, Options{Clock: func() time.Time { return time.Unix(1_700_000_000, 0) }}), pluginTOML(readsHeader(t))))
}

// callerOf calls as the plugin "p" of g does.
func callerOf(t testing.TB, g *Generation) *caller {
	t.Helper()
	p := g.plugins["p"]
	in, err := p.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.give(in, nil) })
	c := &caller{t, in}
	c.begin(abi.Integrate)
	return c
}

// begin ends the call before and begins one of another phase.
func (c *caller) begin(phase abi.Phase) {
	c.t.Helper()
	c.in.end()
	r := newRig(c.t)
	ex := r.exchange("Authorization", "me")
	ex.In.Content = []byte(`{"name":"Rex","tags":["a","b"],"big":12345678901234567890}`)
	c.in.begin(phase, ex, nil, time.Minute)
}

// buffer is an argument for a function to fill, this large.
type buffer int

// call calls module.name. An int and an int64 are numbers, text is an address and
// a length.
func (c *caller) call(m hostModule, name string, args ...any) (result int64, out string) {
	c.t.Helper()
	var stack []uint64
	at, into, room := uint32(1024), uint32(0), 0
	for _, arg := range args {
		switch a := arg.(type) {
		case int:
			stack = append(stack, uint64(uint32(a)))
		case int64:
			stack = append(stack, uint64(a))
		case string:
			if !c.in.memory.WriteString(at, a) {
				c.t.Fatalf("no room for %d bytes", len(a))
			}
			stack = append(stack, uint64(at), uint64(len(a)))
			at += uint32(len(a))
		case buffer:
			into, room = at, int(a)
			stack = append(stack, uint64(at), uint64(a))
			at += uint32(a)
		}
	}
	for _, f := range m.functions {
		if f.name != name {
			continue
		}
		if len(stack) != len(f.params) {
			c.t.Fatalf("%s takes %s", name, f.params)
		}
		stack = append(stack, 0)
		f.call(c.in, stack)
		result = int64(api.DecodeI32(stack[0]))
		if f.results == "I" {
			result = int64(stack[0])
		}
		if result > 0 && int(result) <= room {
			b, _ := c.in.memory.Read(into, uint32(result))
			out = string(b)
		}
		return result, out
	}
	c.t.Fatalf("there is no %s", name)
	return 0, ""
}

func (c *caller) want(m hostModule, want any, name string, args ...any) {
	c.t.Helper()
	n, out := c.call(m, name, args...)
	switch w := want.(type) {
	case int:
		if n != int64(w) {
			c.t.Errorf("%s(%v) = %d, want %d", name, args, n, w)
		}
	case string:
		if n != int64(len(w)) || out != w {
			c.t.Errorf("%s(%v) = %d, %q; want %q", name, args, n, out, w)
		}
	}
}

func TestCrypto(t *testing.T) {
	c, m := newCaller(t), cryptoFunctions()
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	c.want(m, unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "hash", abi.SHA256, "abc", buffer(64)) // FIPS 180-4
	c.want(m, unhex("a9993e364706816aba3e25717850c26c9cd0d89d"), "hash", abi.SHA1, "abc", buffer(64))
	c.want(m, unhex("900150983cd24fb0d6963f7d28e17f72"), "hash", abi.MD5, "abc", buffer(64))                                                                     // RFC 1321
	c.want(m, unhex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"), "hmac", abi.SHA256, strings.Repeat("\x0b", 20), "Hi There", buffer(64)) // RFC 4231
	c.want(m, 64, "hash", abi.SHA512, "", buffer(10))                                                                                                            // longer than the buffer: nothing written
	c.want(m, abi.BadArgument, "hash", 9, "abc", buffer(64))
	c.want(m, abi.BadArgument, "hmac", 0, "k", "abc", buffer(64))
	c.want(m, 1, "equal", "secret", "secret")
	c.want(m, 0, "equal", "secret", "secreT")
	c.want(m, 0, "equal", "secret", "secret2")

	// RFC 8037, A.1 and A.4.
	key := `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	signed := "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	mark, err := base64.RawURLEncoding.DecodeString("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
	if err != nil {
		t.Fatal(err)
	}
	c.want(m, 1, "key_load", key)
	c.want(m, 1, "verify", 1, abi.EdDSA, signed, string(mark))
	c.want(m, 0, "verify", 1, abi.EdDSA, signed+"x", string(mark))
	c.want(m, 0, "verify", 1, abi.RS256, signed, string(mark))
	c.want(m, abi.BadArgument, "verify", 1, 99, signed, string(mark))
	c.want(m, abi.BadArgument, "verify", 2, abi.EdDSA, signed, string(mark))
	c.want(m, abi.Denied, "jwt_verify", 1, "a.b.c", buffer(99))
	c.want(m, abi.BadArgument, "key_load", "-----BEGIN nothing")
	c.begin(abi.Integrate)
	c.want(m, abi.BadArgument, "verify", 1, abi.EdDSA, signed, string(mark)) // the key lasted as long as the call
}

func TestJSON(t *testing.T) {
	c, m := newCaller(t), jsonFunctions()
	c.want(m, 1, "open", abi.BodyRequest)
	c.want(m, "Rex", "get", 1, "$.name", buffer(20))
	c.want(m, "12345678901234567890", "get", 1, "$.big", buffer(30))
	c.want(m, `["a","b"]`, "get", 1, "$.tags", buffer(30))
	c.want(m, abi.KindArray, "kind", 1, "$.tags")
	c.want(m, 2, "count", 1, "$.tags")
	c.want(m, abi.BadArgument, "count", 1, "$.name")
	c.want(m, "tags", "name", 1, "$", 1, buffer(20))
	c.want(m, abi.NotFound, "name", 1, "$", 3, buffer(20))
	c.want(m, abi.NotFound, "get", 1, "$.none", buffer(20))
	c.want(m, abi.BadArgument, "get", 1, "name", buffer(20))
	c.want(m, abi.BadArgument, "get", 7, "$", buffer(20))
	c.want(m, 2, "parse", `{"a":1}`)
	c.want(m, 0, "set", 2, "$.b.c", `[true]`)
	c.want(m, 0, "delete", 2, "$.a")
	c.want(m, abi.BadArgument, "set", 2, "$.d", `nonsense`)
	c.want(m, abi.NotFound, "delete", 2, "$.a")
	c.want(m, `{"b":{"c":[true]}}`, "write", 2, buffer(50))
	c.want(m, abi.BadArgument, "parse", `{"a":}`)
	c.want(m, 3, "open", abi.DocumentEvent)
	c.want(m, "GET", "get", 3, "$.httpMethod", buffer(20))
	c.want(m, abi.WrongPhase, "open", abi.BodyBackend)
	c.want(m, abi.BadArgument, "open", 44)
	c.want(m, 0, "write_body", 2, abi.BodyResponse)
	if got := string(c.in.draft.content[abi.BodyResponse]); got != `{"b":{"c":[true]}}` {
		t.Errorf("the new content is %q", got)
	}
	c.begin(abi.Response)
	c.want(m, abi.WrongPhase, "open", abi.DocumentEvent)
	c.want(m, abi.BadArgument, "get", 1, "$", buffer(20))
}

func TestText(t *testing.T) {
	c, m := newCaller(t), textFunctions()
	c.want(m, 1, "regex", `(\w+)@(?:(x)|(\w+))`)
	c.want(m, 1, "match", 1, "to amy@host!")
	c.want(m, 0, "match", 1, "nobody")
	c.want(m, "amy@host", "find", 1, "to amy@host!", 0, buffer(20))
	c.want(m, "amy", "find", 1, "to amy@host!", 1, buffer(20))
	c.want(m, abi.NotFound, "find", 1, "to amy@host!", 2, buffer(20))
	c.want(m, abi.BadArgument, "find", 1, "to amy@host!", 4, buffer(20))
	c.want(m, "to host of amy, x of bo", "replace", 1, "to amy@host, bo@x", "$2$3 of $1", buffer(40))
	c.want(m, abi.BadArgument, "regex", "(")
	c.want(m, abi.BadArgument, "match", 2, "x")
	c.want(m, abi.BadArgument, "match", 1, "\xff")
	c.want(m, abi.Limit, "regex", strings.Repeat("a", abi.MaxPattern+1))
	c.want(m, abi.Limit, "regex", strings.Repeat("a{1000}", 21))
	for _, x := range []struct {
		coding      int
		plain, text string
	}{
		{abi.Base64, "hi?>", "aGk/Pg=="}, {abi.Base64URL, "hi?>", "aGk_Pg"}, {abi.Hex, "\x00\xff", "00ff"},
		{abi.Percent, "a b/ü~", "a%20b%2F%C3%BC~"}, {abi.Form, "a b+", "a+b%2B"},
	} {
		c.want(m, x.text, "encode", x.coding, x.plain, buffer(40))
		c.want(m, x.plain, "decode", x.coding, x.text, buffer(40))
	}
	c.want(m, "hi?>", "decode", abi.Base64, "aGk/Pg", buffer(40))
	c.want(m, "hi?>", "decode", abi.Base64URL, "aGk_Pg==", buffer(40))
	for coding, text := range map[int]string{abi.Base64: "a?", abi.Base64URL: "a+/=", abi.Hex: "0g", abi.Percent: "%2", abi.Form: "%gg", 9: "x"} {
		c.want(m, abi.BadArgument, "decode", coding, text, buffer(40))
	}
}

// What a guest has the host compute is bounded: nothing else can stop it.
func TestWorkIsBounded(t *testing.T) {
	c := newCaller(t)
	text := textFunctions()
	c.want(text, 1, "regex", "(x+x+)+y(a{200}|b{200})")
	long := strings.Repeat("x", 20_000)
	begin := time.Now()
	for range 100 {
		if n, _ := c.call(text, "match", 1, long); n == abi.Limit {
			c.begin(abi.Integrate)
			c.want(cryptoFunctions(), 32, "hash", abi.SHA256, "a new call has a new allowance", buffer(32))
			return
		}
	}
	t.Errorf("100 searches were allowed; they took %v", time.Since(begin))
}

// What is made before the first request lasts, and no more than the limit.
func TestHoldings(t *testing.T) {
	c, m := newCaller(t), textFunctions()
	c.begin(abi.Start)
	c.want(m, 1, "regex", "a")
	c.begin(abi.Integrate)
	c.want(m, 2, "regex", "b")
	c.want(m, 1, "match", 1, "a")
	c.begin(abi.Integrate)
	c.want(m, abi.BadArgument, "match", 2, "b")
	for i := 2; i <= abi.MaxHeld; i++ {
		c.want(m, i, "regex", fmt.Sprint("c", i))
	}
	c.want(m, abi.Limit, "regex", "d")
}

func BenchmarkCapabilities(b *testing.B) {
	c := newCaller(b)
	crypto, json, text := cryptoFunctions(), jsonFunctions(), textFunctions()
	c.call(text, "regex", `^/pets/\d+$`)
	c.call(json, "open", abi.BodyRequest)
	for _, x := range []struct {
		m    hostModule
		name string
		args []any
	}{
		{crypto, "hash", []any{abi.SHA256, strings.Repeat("x", 1024), buffer(32)}},
		{crypto, "hmac", []any{abi.SHA256, "key", strings.Repeat("x", 1024), buffer(32)}},
		{text, "match", []any{1, "/pets/1234"}},
		{json, "get", []any{1, "$.name", buffer(20)}},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.in.held().spent = 0
				if n, _ := c.call(x.m, x.name, x.args...); n < 0 {
					b.Fatal(n)
				}
			}
		})
	}
}
