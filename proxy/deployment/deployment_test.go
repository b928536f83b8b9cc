package deployment

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy/config"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func word(digest string) Word { return Word{Digest: digest, At: noon} }

// A stage that follows the configuration runs what it says; one that doesn't runs what
// was deployed, and first of all what there is.
func TestSettle(t *testing.T) {
	h := NewHistory("pets")
	modes := map[string]Mode{"prod": {}, "test": {Follow: true}}
	f := func(digest string, changed bool, prod, test int) {
		t.Helper()
		if got := h.Settle(modes, word(digest)); got != changed {
			t.Errorf("settle %s: changed is %t", digest, got)
		}
		if got := [2]int{h.Stages["prod"].Deployment, h.Stages["test"].Deployment}; got != [2]int{prod, test} {
			t.Errorf("settle %s: stages run %v, want %d and %d", digest, got, prod, test)
		}
	}
	f("a", true, 1, 1)
	f("a", false, 1, 1)
	f("b", true, 1, 2)
	if _, err := h.Deploy("prod", false, word("b")); err != nil {
		t.Fatal(err)
	}
	f("b", false, 3, 2)
	if err := h.Rollback("test", 1, "b", noon); err != nil {
		t.Fatal(err)
	}
	f("b", false, 3, 1) // held
	f("c", true, 3, 4)  // the definition changed
	delete(modes, "test")
	if !h.Settle(modes, word("c")) || h.Stages["test"] != nil {
		t.Error("a stage that is gone is still there")
	}
}

// A rollback goes back as often as one likes, and by number to any.
func TestRollback(t *testing.T) {
	h := NewHistory("pets")
	h.Settle(map[string]Mode{"prod": {}}, word("1"))
	for _, digest := range []string{"2", "3"} {
		if _, err := h.Deploy("prod", false, word(digest)); err != nil {
			t.Fatal(err)
		}
	}
	f := func(to, want int, fails error) {
		t.Helper()
		err := h.Rollback("prod", to, "3", noon)
		if !errors.Is(err, fails) || h.Stages["prod"].Deployment != want {
			t.Errorf("back to %d: runs %d, want %d (%v)", to, h.Stages["prod"].Deployment, want, err)
		}
	}
	f(0, 2, nil)
	f(0, 1, nil)
	f(0, 1, ErrNothing)
	f(3, 3, nil)
	f(9, 3, ErrUnknown)
	f(0, 1, nil)
	if _, err := h.Stage("nope"); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "it has: prod") {
		t.Errorf("%v", err)
	}
}

// With a canary, deployments go there until they are promoted.
func TestCanary(t *testing.T) {
	h := NewHistory("pets")
	modes := map[string]Mode{"prod": {Canaried: true}}
	h.Settle(modes, word("1"))
	if s := h.Stages["prod"]; s.Deployment != 1 || s.Canary != 0 {
		t.Fatalf("the first deployment went to the canary: %+v", s)
	}
	if err := h.Promote("prod", modes["prod"], noon); !errors.Is(err, ErrNothing) {
		t.Errorf("promoted nothing: %v", err)
	}
	if _, err := h.Deploy("prod", true, word("2")); err != nil {
		t.Fatal(err)
	}
	if s := h.Stages["prod"]; s.Deployment != 1 || s.Canary != 2 {
		t.Fatalf("%+v", s)
	}
	if err := h.Delete(2); !errors.Is(err, ErrInUse) {
		t.Errorf("deleted what the canary runs: %v", err)
	}
	if err := h.Promote("prod", modes["prod"], noon); err != nil {
		t.Fatal(err)
	}
	if s := h.Stages["prod"]; s.Deployment != 2 || s.Canary != 0 || !slices.Equal(s.Past, []int{1}) {
		t.Errorf("%+v", s)
	}
	if err := h.Delete(1); err != nil {
		t.Error(err)
	}
	if err := h.Rollback("prod", 0, "2", noon); !errors.Is(err, ErrNothing) {
		t.Errorf("back to what was deleted: %v", err)
	}
}

// Pruning leaves what stages run.
func TestPrune(t *testing.T) {
	h := NewHistory("pets")
	h.Settle(map[string]Mode{"prod": {}, "test": {}}, word("1"))
	for _, digest := range []string{"2", "3", "4", "5"} {
		if _, err := h.Deploy("test", false, word(digest)); err != nil {
			t.Fatal(err)
		}
	}
	h.Prune(3)
	var left []int
	for _, d := range h.Deployments {
		left = append(left, d.Number)
	}
	if !slices.Equal(left, []int{1, 4, 5}) {
		t.Errorf("left: %v", left)
	}
	if n := h.add(word("6")); n != 6 {
		t.Errorf("number %d was given twice", n)
	}
}

// What is saved comes back; what was damaged is said, with the state before it.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	for _, a := range []*Archive{NewArchive(dir), NewArchive("")} {
		h, err := a.History("pets")
		if err != nil || h.Next != 1 {
			t.Fatal(h, err)
		}
		d := &Document{API: "pets", Definition: config.Definition{"api": map[string]any{"type": "rest", "n": 1}}, Modules: map[string]string{"p": "00"}}
		text, digest, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Put("pets", digest, text); err != nil {
			t.Fatal(err)
		}
		h.Settle(map[string]Mode{"prod": {}}, word(digest))
		if err := a.Save(h); err != nil {
			t.Fatal(err)
		}
		again, err := a.History("pets")
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("read %+v, want %+v: %v", again, h, err)
		}
		back, err := a.Document("pets", digest)
		if err != nil {
			t.Fatal(err)
		}
		if _, again, err := back.Encode(); err != nil || again != digest {
			t.Errorf("the digest became %s: %v", again, err)
		}
	}

	a := NewArchive(dir)
	h, _ := a.History("pets")
	if _, err := h.Deploy("prod", false, word("x")); err != nil {
		t.Fatal(err)
	}
	if err := a.Save(h); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pets", historyFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(text); at += 5 { // cut off, or one bit wrong
		for _, bad := range [][]byte{text[:at], slices.Concat(text[:at], []byte{text[at] ^ 2}, text[at+1:])} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := a.History("pets")
			if err == nil && reflect.DeepEqual(got, h) {
				continue // white space, or a digit of the format's name
			}
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), path) || got == nil || got.Stages["prod"].Deployment != 1 {
				t.Fatalf("byte %d: %+v, %v", at, got, err)
			}
		}
	}
	// The next change puts it right, and keeps what was damaged for a look.
	h, _ = a.History("pets")
	if err := a.Save(h); err != nil {
		t.Fatal(err)
	}
	if _, err := a.History("pets"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + copySuffix); err != nil {
		t.Fatal(err)
	}
	if h, err := a.History("pets"); h != nil || !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("neither file is right: %v, %v", h, err)
	}
}

// A document that isn't what was deployed is never served.
func TestDamagedDocument(t *testing.T) {
	dir := t.TempDir()
	a := NewArchive(dir)
	text, digest, err := (&Document{API: "pets", Definition: config.Definition{"api": map[string]any{}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Put("pets", digest, text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pets", digest+".json")
	if err := os.WriteFile(path, text[:len(text)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Document("pets", digest); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if err := a.Put("pets", digest, text); err != nil { // deploying it again heals it
		t.Fatal(err)
	}
	if _, err := a.Document("pets", digest); err != nil {
		t.Error(err)
	}
}

// Sweep removes what nobody names, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	a := NewArchive(dir)
	h := NewHistory("pets")
	for _, digest := range []string{"a", "b", "c"} {
		if err := a.Put("pets", digest, []byte(digest)); err != nil {
			t.Fatal(err)
		}
	}
	h.Settle(map[string]Mode{"prod": {}}, word("a"))
	if err := a.Save(h); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pets", "b.json.new123"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Sweep(h)
	entries, err := os.ReadDir(filepath.Join(dir, "pets"))
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"a.json", historyFile}; !slices.Equal(left, want) {
		t.Errorf("left: %v, want %v", left, want)
	}
}

// A module is removed with the last document that names it, of whatever API.
func TestSweepModules(t *testing.T) {
	for _, dir := range []string{t.TempDir(), ""} {
		a := NewArchive(dir)
		save := func(api string, modules ...string) (*History, string) {
			t.Helper()
			doc := &Document{API: api, Modules: map[string]string{}}
			for _, m := range modules {
				doc.Modules["of "+m] = m
				if err := a.PutModule(m, []byte(m)); err != nil {
					t.Fatal(err)
				}
			}
			text, digest, err := doc.Encode()
			if err == nil {
				err = a.Put(api, digest, text)
			}
			h := NewHistory(api)
			h.Settle(map[string]Mode{"prod": {}}, word(digest))
			if err == nil {
				err = a.Save(h)
			}
			if err != nil {
				t.Fatal(err)
			}
			return h, digest
		}
		left := func(want ...string) {
			t.Helper()
			var got []string
			for _, m := range []string{"m1", "m2", "m3"} {
				if a.Has(m) {
					got = append(got, m)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("dir %q: left: %v, want %v", dir, got, want)
			}
		}
		h, _ := save("pets", "m1", "m2")
		save("toys", "m2", "m3")
		a.SweepModules(a.Sweep(h))
		left("m1", "m2", "m3")
		h.Deployments[0].Digest = "another"
		for range 2 { // what the copy names stays until then
			if err := a.Save(h); err != nil {
				t.Fatal(err)
			}
		}
		a.SweepModules(a.Sweep(h))
		left("m2", "m3")
	}
}

// One change at a time, in whatever process.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := NewArchive(dir).Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewArchive(dir).Lock(); !errors.Is(err, ErrBusy) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	unlock, err = NewArchive(dir).Lock()
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestCompare(t *testing.T) {
	doc := func(digest string, route map[string]any, plugin map[string]any) *Document {
		return &Document{API: "pets", Modules: map[string]string{"p": digest}, Definition: config.Definition{
			"api":    map[string]any{"type": "rest", "route": route},
			"plugin": map[string]any{"p": plugin},
		}}
	}
	one := map[string]any{"integration": map[string]any{"type": "mock"}}
	two := map[string]any{"integration": map[string]any{"type": "http_proxy", "url": "http://a/"}}
	long := func(changed string) map[string]any {
		return map[string]any{"integration": map[string]any{"type": "mock", "template": map[string]any{
			"application/json": map[string]any{"text": "a\nb\nc\n" + changed + "\nd\ne\nf"},
		}}}
	}
	before := doc("00", map[string]any{"GET /a": one, "GET /b": one, "GET /c": long("x")}, map[string]any{"module": "p.wasm", "env": map[string]any{"KEY": "old-secret"}})
	after := doc("01", map[string]any{"GET /a": one, "GET /c": long("y"), "GET /d": two}, map[string]any{"module": "p.wasm", "env": map[string]any{"KEY": "new-secret"}})
	if all := Compare(before, before); len(all) != 0 {
		t.Errorf("%v", all)
	}
	got := Text(Compare(before, after))
	want := `- api.pets.route."GET /b" = {"integration":{"type":"mock"}}
~ api.pets.route."GET /c".integration.template."application/json".text
      c
    - x
    + y
      d
+ api.pets.route."GET /d" = {"integration":{"type":"http_proxy","url":"http://a/"}}
~ plugin.p.env.KEY = "***" → "***"
~ plugin.p.module = "p.wasm (SHA-256 00)" → "p.wasm (SHA-256 01)"
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Text(Compare(nil, before)); strings.Contains(got, "secret") || !strings.HasPrefix(got, "+ api.pets") {
		t.Errorf("against nothing: %s", got)
	}
}
