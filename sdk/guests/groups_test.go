package guests_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/proxytest"
	"github.com/postern-gateway/postern/sdk/guests"
)

// TestGroups has a guest in each language call what its SDK makes of the
// capability groups that every plugin has.
func TestGroups(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	encode := base64.RawURLEncoding.EncodeToString
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"%s"}`, encode(key.Public().(ed25519.PublicKey)))
	token := encode([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + encode([]byte(`{"sub":"anna","exp":4102444800}`))
	token += "." + encode(ed25519.Sign(key, []byte(token)))
	play(t, "groups", languages("groups"), "KEYS", jwk, "TOKEN", token)
}

// TestState has them call what has to be granted: kv, http and metric.
func TestState(t *testing.T) { play(t, "state", languages("state")) }

// TestLibrary has a C library beside the SDK.
func TestLibrary(t *testing.T) { play(t, "libc", []string{"libc.c"}) }

// languages are the sources of a guest that is there in all languages.
func languages(name string) []string {
	return []string{name + ".c", name + ".rs", name + ".zig", name + ".ts", name + ".js", "go"}
}

// play plays testdata/NAME.txtar with each source of testdata/wasm/NAME. words are
// words of the scenario and what stands for them.
func play(t *testing.T, name string, sources []string, words ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	start := proxytest.Starter(t.TempDir())
	for _, source := range sources {
		t.Run(source, func(t *testing.T) {
			module := guests.Build(t, filepath.Join("testdata/wasm", name, source))
			dir := t.TempDir()
			scenario := strings.NewReplacer(append(words, "MODULE", filepath.ToSlash(module))...).Replace(string(text))
			if err := os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(scenario), 0o600); err != nil {
				t.Fatal(err)
			}
			proxytest.Run(t, dir, start)
		})
	}
}
