package supply_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/plugins/supply/supplytest"
)

const wasmType = "application/wasm"

func parse(t *testing.T, text string) supply.Reference {
	t.Helper()
	r, err := supply.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// plain is a source that speaks to registry without TLS.
func plain(dir string, registry *supplytest.Registry) *supply.Source {
	return supply.New(dir, map[string]supply.Registry{
		registry.Host: {PlainHTTP: true, Username: registry.Username, Password: registry.Password},
	})
}

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	good := func(text, want string) {
		t.Helper()
		if got := parse(t, text).String(); got != want {
			t.Errorf("%s is read as %s, want %s", text, got, want)
		}
	}
	good("oci://a.example/b@"+digest, "oci://a.example/b@"+digest)
	good("oci://a.example:5000/b/c:v1", "oci://a.example:5000/b/c:v1")
	// A digest makes a tag a mere remark.
	good("oci://a.example/b:v1@"+digest, "oci://a.example/b@"+digest)

	bad := func(text, want string) {
		t.Helper()
		_, err := supply.ParseReference(text)
		var e *supply.Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, want) {
			t.Errorf("%s: got %v, want an *Error with %q", text, err, want)
		}
	}
	bad("a.example/b:v1", "begins with oci://")
	bad("oci://", "no name after the registry's host")
	bad("oci://a.example", "no name after the registry's host")
	bad("oci://a.example/b", "neither a digest nor a tag")
	bad("oci://a.example/B:v1", "not a reference")
	bad("oci://a.example/b@sha256:12", "not a reference")
	bad("oci://a.example/b@sha512:"+strings.Repeat("0", 128), "only sha256")
}

func TestLoadKeepsForOffline(t *testing.T) {
	registry := supplytest.New(t)
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	digest := registry.Push("team/guard", "", supplytest.Layer{MediaType: wasmType, Content: wasm})
	ref := parse(t, "oci://"+registry.Host+"/team/guard@"+digest)
	dir := t.TempDir()
	for range 2 {
		a, err := plain(dir, registry).Load(t.Context(), ref)
		if err != nil || !bytes.Equal(a.Wasm, wasm) || a.Signature != nil {
			t.Fatalf("got %q, %v", a.Wasm, err)
		}
	}
	if got := registry.Requests(); len(got) != 2 {
		t.Errorf("the registry was asked %q, want one manifest and one layer", got)
	}
	registry.Server.Close()
	if a, err := plain(dir, registry).Load(t.Context(), ref); err != nil || !bytes.Equal(a.Wasm, wasm) {
		t.Errorf("without the registry: got %q, %v", a.Wasm, err)
	}
	// A damaged store is as good as none, and that needs the network.
	files, err := filepath.Glob(filepath.Join(dir, "sha256", "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("the store has %v, %v", files, err)
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, plain(dir, registry), ref, "isn't in the local store, and the registry can't be reached", "plugin fetch")
}

// refused loads ref and wants an *Error.
func refused(t *testing.T, s *supply.Source, ref supply.Reference, text, hint string) {
	t.Helper()
	_, err := s.Load(t.Context(), ref)
	var e *supply.Error
	if !errors.As(err, &e) || !strings.Contains(e.Text, text) || !strings.Contains(e.Hint, hint) {
		t.Errorf("got %#v, want %q with hint %q", err, text, hint)
	}
}

// archive is a compressed layer with one file.
func archive(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	files := tar.NewWriter(zipped)
	if err := files.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLayouts(t *testing.T) {
	registry := supplytest.New(t)
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	fits := func(layers ...supplytest.Layer) {
		t.Helper()
		ref := parse(t, "oci://"+registry.Host+"/p@"+registry.Push("p", "", layers...))
		a, err := plain("", registry).Load(t.Context(), ref)
		if err != nil || !bytes.Equal(a.Wasm, wasm) {
			t.Errorf("got %q, %v", a.Wasm, err)
		}
	}
	fits(supplytest.Layer{MediaType: "application/vnd.wasm.content.layer.v1+wasm", Content: wasm})
	fits(supplytest.Layer{MediaType: "application/vnd.module.wasm.content.layer.v1+wasm", Content: wasm})
	image := "application/vnd.oci.image.layer.v1.tar+gzip"
	fits(supplytest.Layer{MediaType: image, Content: archive(t, "./plugin.wasm", wasm)})
	fits(supplytest.Layer{MediaType: image, Content: archive(t, "etc/passwd", nil)},
		supplytest.Layer{MediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", Content: archive(t, "plugin.wasm", wasm)})

	wrong := func(want string, layers ...supplytest.Layer) {
		t.Helper()
		refused(t, plain("", registry), parse(t, "oci://"+registry.Host+"/p@"+registry.Push("p", "", layers...)), want, "")
	}
	wrong("it has no layers")
	wrong("its layers are text/plain", supplytest.Layer{MediaType: "text/plain", Content: wasm})
	wrong("it has 2 modules", supplytest.Layer{MediaType: wasmType, Content: wasm}, supplytest.Layer{MediaType: wasmType, Content: []byte("x")})
	wrong("no file plugin.wasm", supplytest.Layer{MediaType: image, Content: archive(t, "usr/plugin.wasm", wasm)})
	wrong("unpack its layer", supplytest.Layer{MediaType: image, Content: []byte("no archive at all")})
	wrong("at most 16777216", supplytest.Layer{MediaType: wasmType, Content: make([]byte, supply.MaxModule+1)})
	// What unpacks to more than it may is stopped on the way.
	wrong("at most 16777216", supplytest.Layer{MediaType: image, Content: archive(t, "plugin.wasm", make([]byte, supply.MaxModule+1))})
	wrong("unpack its layer", supplytest.Layer{MediaType: image, Content: archive(t, "other", make([]byte, 3*supply.MaxModule))})

	index := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	registry.Put("p/manifests/"+supplytest.Digest(index), "application/vnd.oci.image.index.v1+json", index)
	refused(t, plain("", registry), parse(t, "oci://"+registry.Host+"/p@"+supplytest.Digest(index)), "index of several", "digest of the one")
}

func TestRegistryLies(t *testing.T) {
	registry := supplytest.New(t)
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	digest := registry.Push("p", "", supplytest.Layer{MediaType: wasmType, Content: wasm})
	ref := parse(t, "oci://"+registry.Host+"/p@"+digest)
	registry.Answers[supplytest.Digest(wasm)] = []byte("\x00asm\x01\x00\x00\x01")
	dir := t.TempDir()
	refused(t, plain(dir, registry), ref, "a layer isn't sha256:", "don't use it")
	registry.Answers[supplytest.Digest(wasm)] = []byte("\x00asm")
	refused(t, plain(dir, registry), ref, "fetch oci://", "")
	delete(registry.Answers, supplytest.Digest(wasm))
	registry.Answers[digest] = []byte(`{"layers":[]}`)
	refused(t, plain(dir, registry), ref, "sha256:", "don't use it")
	registry.Answers[digest] = make([]byte, 2<<20)
	refused(t, plain(dir, registry), ref, "fetch oci://", "")
	if files, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(files) != 0 {
		t.Errorf("the store kept %v, %v", files, err)
	}
}

func TestCredentialsAndCA(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		registry := supplytest.NewTLS(t)
		registry.Username, registry.Password, registry.Bearer = "ci", "s3cret", bearer
		wasm := []byte("\x00asm\x01\x00\x00\x00")
		ref := parse(t, "oci://"+registry.Host+"/p@"+registry.Push("p", "", supplytest.Layer{MediaType: wasmType, Content: wasm}))
		docker := t.TempDir()
		t.Setenv("DOCKER_CONFIG", docker)
		from := func(r supply.Registry) *supply.Source {
			return supply.New("", map[string]supply.Registry{registry.Host: r})
		}
		refused(t, from(supply.Registry{}), ref, "certificate", ".ca to the file")
		ca := filepath.Join(t.TempDir(), "ca.pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: registry.Server.Certificate().Raw})
		if err := os.WriteFile(ca, text, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, from(supply.Registry{CA: ca}), ref, "the registry "+registry.Host, ".username and password")
		refused(t, from(supply.Registry{CA: ca, Username: "ci", Password: "wrong"}), ref, "the registry "+registry.Host, ".username and password")
		refused(t, from(supply.Registry{CA: filepath.Join(docker, "none")}), ref, "the registry's CA", "")
		if a, err := from(supply.Registry{CA: ca, Username: "ci", Password: "s3cret"}).Load(t.Context(), ref); err != nil || !bytes.Equal(a.Wasm, wasm) {
			t.Errorf("with the password, bearer %v: %v", bearer, err)
		}
		login := `{"auths":{"` + registry.Host + `":{"auth":"Y2k6czNjcmV0"}}}` // ci:s3cret
		if err := os.WriteFile(filepath.Join(docker, "config.json"), []byte(login), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := from(supply.Registry{CA: ca}).Load(t.Context(), ref); err != nil {
			t.Errorf("with Docker's login, bearer %v: %v", bearer, err)
		}
	}
}

func TestPlainHTTPIsAskedFor(t *testing.T) {
	registry := supplytest.New(t)
	ref := parse(t, "oci://"+registry.Host+"/p@"+supplytest.Digest(nil))
	refused(t, supply.New("", nil), ref, "fetch oci://", "plain_http = true")
	refused(t, plain("", registry), ref, "has no oci://", "name and the digest")
}

func TestLock(t *testing.T) {
	registry := supplytest.New(t)
	first := registry.Push("p", "v1", supplytest.Layer{MediaType: wasmType, Content: []byte("one")})
	ref := parse(t, "oci://"+registry.Host+"/p:v1")
	path := filepath.Join(t.TempDir(), supply.LockFile)
	read := func() *supply.Lock {
		t.Helper()
		l, err := supply.ReadLock(path)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var e *supply.Error
	if _, err := read().Pin(ref); !errors.As(err, &e) || !strings.Contains(e.Hint, "plugin fetch") {
		t.Errorf("a tag that nobody pinned: got %v", err)
	}
	pinned, err := plain("", registry).Resolve(t.Context(), ref)
	if err != nil || pinned.Digest != first {
		t.Fatalf("the tag is %v, %v; want %s", pinned, err, first)
	}
	l := read()
	l.Set(ref, pinned.Digest)
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	// The tag moves; what was locked stays.
	registry.Push("p", "v1", supplytest.Layer{MediaType: wasmType, Content: []byte("two")})
	if got, err := read().Pin(ref); err != nil || got.Digest != first {
		t.Errorf("got %v, %v; want %s", got, err, first)
	}
	l = read()
	l.Keep(nil)
	if err := l.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty lock has a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("oci://a/b:c latest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := supply.ReadLock(path); !errors.As(err, &e) || !strings.Contains(e.Text, ":1: want a reference and its digest") {
		t.Errorf("a broken line: got %v", err)
	}
}

func TestPrune(t *testing.T) {
	registry := supplytest.New(t)
	dir := t.TempDir()
	s := plain(dir, registry)
	var refs []supply.Reference
	for _, text := range []string{"one", "two"} {
		ref := parse(t, "oci://"+registry.Host+"/p@"+registry.Push("p", "", supplytest.Layer{MediaType: wasmType, Content: []byte(text)}))
		if _, err := s.Load(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	if files, _, err := s.Prune(refs[:1]); files != 2 || err != nil {
		t.Errorf("%d files went, %v; want 2", files, err)
	}
	registry.Server.Close()
	if _, err := s.Load(t.Context(), refs[0]); err != nil {
		t.Errorf("what is used went: %v", err)
	}
	if _, err := s.Load(t.Context(), refs[1]); err == nil {
		t.Error("what isn't used stayed")
	}
}

func TestSignature(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	wasm := []byte("\x00asm\x01\x00\x00\x00")
	signature := minisign.Sign(private, wasm)
	registry := supplytest.New(t)
	digest := registry.Push("p", "", supplytest.Layer{MediaType: wasmType, Title: "p.wasm", Content: wasm},
		supplytest.Layer{MediaType: "application/octet-stream", Title: "p.wasm.minisig", Content: signature})
	a, err := plain("", registry).Load(t.Context(), parse(t, "oci://"+registry.Host+"/p@"+digest))
	if err != nil {
		t.Fatal(err)
	}
	withComment, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{public.String(), string(withComment) + "\n"} {
		if err := supply.Verify(key, "p.wasm", a.Wasm, a.Signature); err != nil {
			t.Errorf("a good signature: %v", err)
		}
	}
	wrong := func(want, key string, wasm, signature []byte) {
		t.Helper()
		err := supply.Verify(key, "p.wasm", wasm, signature)
		var e *supply.Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	wrong("isn't what was signed", public.String(), append(wasm, 0), signature)
	wrong("but public_key is", other.String(), wasm, signature)
	wrong("isn't one of minisign", public.String(), wasm, []byte("RW"))
	wrong("isn't one of minisign", public.String(), wasm, nil)
	wrong("not a minisign public key", "RWQ", wasm, signature)
	// The comment is signed, too.
	wrong("isn't what was signed", public.String(), wasm, bytes.Replace(signature, []byte("timestamp:"), []byte("timestamp:9"), 1))
}

func FuzzParseReference(f *testing.F) {
	f.Add("oci://a.example:5000/b/c:v1")
	f.Add("oci://a.example/b@sha256:" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := supply.ParseReference(text)
		if err != nil {
			return
		}
		if again, err := supply.ParseReference(r.String()); err != nil || again != r {
			t.Fatalf("%q is %+v, which is read again as %+v, %v", text, r, again, err)
		}
	})
}
