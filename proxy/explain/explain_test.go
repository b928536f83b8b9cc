package explain

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/http1"
)

// What is masked by its name is masked wherever it comes up again.
func TestSecrets(t *testing.T) {
	tr := New("1", time.Now())
	tr.Request.Fields = tr.Values(http1.Fields{
		http1.NewField("Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.sig"),
		http1.NewField("Cookie", "theme=dark; sid=0123456789"), http1.NewField("Access-Control-Allow-Credentials", "true"),
		http1.NewField("Accept", "*/*"),
	})
	tr.Begin("method request", "step")
	tr.Note("host call", `map_get("Authorization") → "Bearer eyJhbGciOiJIUzI1NiJ9.e30.sig"`, "")
	tr.Note("X", "0123456789abcdef", "method.request.querystring.access_token")
	tr.Note("later", "0123456789abcdef is it", "")
	tr.End(0, "failed: bad token eyJhbGciOiJIUzI1NiJ9.e30.sig")
	form := tr.Form("a=1&client_secret=open-sesame&b=2")
	body := tr.Body([]byte(`{"user":"anna","apiKey": "k\"1","nested":{"accessToken" : "zzzz", "n":1},"cut_password":"rest`), "application/json")
	text, err := json.Marshal([]any{tr, form, body})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"eyJ", "sid=0", "open-sesame", "zzzz", `k\\\"1`, "rest", "0123456789"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	for _, shown := range []string{"*/*", `"true"`, "anna", "a=1", "b=2", `\"n\":1`, "Bearer"} {
		if !strings.Contains(string(text), shown) {
			t.Errorf("%s isn't in %s", shown, text)
		}
	}
}

// A trace holds so much, whatever it is told.
func TestBounds(t *testing.T) {
	tr := New("1", time.Now())
	long := strings.Repeat("ä", 1<<20)
	for range 1000 {
		tr.Begin("method request", "step")
		tr.Note(long, long, long)
		tr.Body([]byte(long), "")
		tr.End(0, long[:2])
	}
	if !tr.Truncated {
		t.Error("it isn't said to be truncated")
	}
	text, err := json.Marshal(tr)
	if err != nil || len(text) > 4*maxTrace {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	var r Ring
	for range 3 * maxKept {
		r.Add(New("1", time.Now()))
	}
	if n := len(r.List()); n != maxKept {
		t.Errorf("%d traces are kept", n)
	}
	for range 200 {
		full := New("2", time.Now())
		full.room = 0
		r.Add(full)
	}
	if r.bytes > keptRoom {
		t.Errorf("%d bytes are kept", r.bytes)
	}
}

// A token is good for its stage and its time, and for the key that made it.
func TestTokens(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "key")
	desk, err := OpenDesk(file)
	if err != nil || desk.Asked() {
		t.Fatal(desk.Asked(), err)
	}
	now := time.Now()
	mint := func(stage string) string {
		t.Helper()
		token, err := desk.Mint(Scope{API: "pets", Stage: stage, Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	f := func(d *Desk, token, api, stage string, at time.Time, want bool) {
		t.Helper()
		if got := d.Admits(token, api, stage, at); got != want {
			t.Errorf("%s:%s at %s: %t", api, stage, at, got)
		}
	}
	one, all := mint("prod"), mint("")
	if !desk.Asked() {
		t.Error("nobody looks for tokens")
	}
	f(desk, one, "pets", "prod", now, true)
	f(desk, one, "pets", "dev", now, false)
	f(desk, one, "cats", "prod", now, false)
	f(desk, all, "pets", "dev", now, true)
	f(desk, "", "pets", "prod", now, false)
	f(desk, strings.Repeat("a", 5000), "pets", "prod", now, false)
	for i := range one { // a changed token, in each place, but for bits that base64 doesn't use
		changed := []byte(one)
		if changed[i] ^= 4; i != len(one)-1 && i != strings.IndexByte(one, '.')-1 {
			f(desk, string(changed), "pets", "prod", now, false)
		}
	}
	after, err := OpenDesk(file)
	if err != nil || !after.Asked() {
		t.Fatal(err)
	}
	f(after, one, "pets", "prod", now, true) // the next process knows the key
	other, err := OpenDesk("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Mint(Scope{API: "pets", Expires: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	f(other, one, "pets", "prod", now, false)
	f(desk, one, "pets", "prod", now.Add(2*time.Hour), false)
	if desk.Asked() {
		t.Error("tokens are looked for though none is good any more")
	}
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDesk(file); err == nil {
		t.Error("a damaged key is taken")
	}
}
