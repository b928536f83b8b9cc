// Package supplytest is an OCI registry in memory, for tests: the calls of the
// distribution API that fetching takes, and the ways in which it goes wrong.
package supplytest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Registry is a running registry. Its exported fields may be set before it is
// asked for the first time.
type Registry struct {
	Host     string // "127.0.0.1:PORT"
	Server   *httptest.Server
	Username string // who may fetch; "" lets everybody
	Password string
	Bearer   bool              // a token is asked for, not the password itself
	Answers  map[string][]byte // what a path answers instead, by its end: a digest or a tag

	mu       sync.Mutex // guards what follows
	contents map[string]content
	requests []string
}

type content struct {
	mediaType string
	body      []byte
}

// Layer is one part of an artifact.
type Layer struct {
	MediaType string
	Title     string // file name, "" for none
	Content   []byte
}

// New starts a registry without TLS, which ends with the test.
func New(t *testing.T) *Registry { return start(t, (*httptest.Server).Start) }

// NewTLS starts a registry with TLS by a certificate that nobody trusts:
// Server.Certificate has it.
func NewTLS(t *testing.T) *Registry { return start(t, (*httptest.Server).StartTLS) }

func start(t *testing.T, serve func(*httptest.Server)) *Registry {
	t.Helper()
	r := &Registry{contents: map[string]content{}, Answers: map[string][]byte{}}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(r.answer))
	r.Server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients refuse its certificate, as they should
	serve(r.Server)
	r.Host = r.Server.Listener.Addr().String()
	t.Cleanup(r.Server.Close)
	return r
}

// Push puts an artifact under name, and under tag unless that is "". It returns
// the manifest's digest.
func (r *Registry) Push(name, tag string, layers ...Layer) (digest string) {
	type descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int               `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	manifest := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json"}
	describe := func(mediaType string, body []byte) descriptor {
		d := descriptor{MediaType: mediaType, Digest: Digest(body), Size: len(body)}
		r.Put(name+"/blobs/"+d.Digest, "application/octet-stream", body)
		return d
	}
	manifest.Config = describe("application/vnd.wasm.config.v0+json", []byte(`{"architecture":"wasm","os":"wasip1"}`))
	for _, l := range layers {
		d := describe(l.MediaType, l.Content)
		if l.Title != "" {
			d.Annotations = map[string]string{"org.opencontainers.image.title": l.Title}
		}
		manifest.Layers = append(manifest.Layers, d)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		panic(err) // strings and numbers
	}
	digest = Digest(text)
	r.Put(name+"/manifests/"+digest, manifest.MediaType, text)
	if tag != "" {
		r.Put(name+"/manifests/"+tag, manifest.MediaType, text)
	}
	return digest
}

// Put makes body what path below /v2/ answers.
func (r *Registry) Put(path, mediaType string, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.contents["/v2/"+path] = content{mediaType, body}
}

// Requests returns what was asked for so far: "GET /v2/…".
func (r *Registry) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

// Digest is how registries name body.
func Digest(body []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(body)) }

const token = "t0ken"

func (r *Registry) answer(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, q.Method+" "+q.URL.Path)
	c, found := r.contents[q.URL.Path]
	r.mu.Unlock()
	if q.URL.Path == "/token" {
		r.issue(w, q)
		return
	}
	if !r.allowed(q) {
		challenge := `Basic realm="registry"`
		if r.Bearer {
			challenge = `Bearer realm="` + r.Server.URL + `/token",service="registry"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return
	}
	if !found {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not here"}]}`)
		return
	}
	for end, instead := range r.Answers {
		if strings.HasSuffix(q.URL.Path, end) {
			c.body = instead
		}
	}
	w.Header().Set("Content-Type", c.mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
	if q.Method == http.MethodGet {
		_, _ = w.Write(c.body) // a client that leaves is its own business
	}
}

func (r *Registry) allowed(q *http.Request) bool {
	if r.Username == "" {
		return true
	}
	if r.Bearer {
		return q.Header.Get("Authorization") == "Bearer "+token
	}
	user, password, _ := q.BasicAuth()
	return user == r.Username && password == r.Password
}

func (r *Registry) issue(w http.ResponseWriter, q *http.Request) {
	if user, password, _ := q.BasicAuth(); user != r.Username || password != r.Password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, `{"token":%q}`, token)
}
