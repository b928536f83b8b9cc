package supply

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// FetchTimeout bounds the fetching of one artifact, with its retries.
const FetchTimeout = time.Minute

// Registry says how to reach a registry.
type Registry struct {
	Username  string // "" takes Docker's configuration, then nobody
	Password  string
	CA        string // file with certificates to trust besides the system's; "" for none
	PlainHTTP bool
}

// Source brings artifacts from the local store or from their registries. Safe
// for concurrent use; two fetches of one artifact do the work twice.
type Source struct {
	store      blobs
	registries map[string]Registry
}

// New returns a Source that keeps what it fetched below dir, the local store;
// "" keeps nothing. registries are by host, as in references.
func New(dir string, registries map[string]Registry) *Source {
	return &Source{blobs{dir}, registries}
}

// Load returns the artifact that r, which has a digest, names: from the local
// store without any network, else from its registry within FetchTimeout. The
// error is an *Error.
func (s *Source) Load(ctx context.Context, r Reference) (Artifact, error) {
	if a, ok := s.stored(r); ok {
		return a, nil
	}
	return s.Fetch(ctx, r)
}

// stored returns the artifact if the local store has all of it.
func (s *Source) stored(r Reference) (Artifact, bool) {
	parts, err := readManifest(s.store.read(digest.Digest(r.Digest)))
	if err != nil {
		return Artifact{}, false
	}
	a := Artifact{Reference: r}
	blob := s.store.read(parts.module.Digest)
	if blob == nil {
		return a, false
	}
	if parts.signature != nil {
		if a.Signature = s.store.read(parts.signature.Digest); a.Signature == nil {
			return a, false
		}
	}
	a.Wasm, err = parts.unpack(blob)
	return a, err == nil
}

// Fetch gets the artifact that r, which has a digest, names from its registry
// and keeps it. The error is an *Error.
func (s *Source) Fetch(ctx context.Context, r Reference) (Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	repo, done, err := s.repository(r)
	if err != nil {
		return Artifact{}, err
	}
	defer done()
	text, err := fetchManifest(ctx, repo, r.Digest)
	if err != nil {
		return Artifact{}, explain(r, err)
	}
	parts, err := readManifest(text)
	if err != nil {
		return Artifact{}, explain(r, err)
	}
	a := Artifact{Reference: r}
	blobs := map[digest.Digest][]byte{digest.Digest(r.Digest): text}
	for _, d := range parts.wanted() {
		if blobs[d.Digest], err = fetchBlob(ctx, repo, d); err != nil {
			return a, explain(r, err)
		}
	}
	if a.Wasm, err = parts.unpack(blobs[parts.module.Digest]); err != nil {
		return a, explain(r, err)
	}
	if parts.signature != nil {
		a.Signature = blobs[parts.signature.Digest]
	}
	for d, content := range blobs {
		if err := s.store.write(d, content); err != nil {
			return a, explain(r, err)
		}
	}
	return a, nil
}

// Resolve asks the registry which digest the tag of r means now. The error is
// an *Error.
func (s *Source) Resolve(ctx context.Context, r Reference) (Reference, error) {
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	repo, done, err := s.repository(r)
	if err != nil {
		return r, err
	}
	defer done()
	// The content tells the digest; what the registry says of it needn't be true.
	text, err := fetchManifest(ctx, repo, r.Tag)
	if err != nil {
		return r, explain(r, err)
	}
	return Reference{Registry: r.Registry, Repository: r.Repository, Digest: digest.FromBytes(text).String()}, nil
}

// Prune removes from the local store what none of used, which have digests,
// needs. It returns the number of files and bytes that went.
func (s *Source) Prune(used []Reference) (files int, bytes int64, err error) {
	needed := map[digest.Digest]bool{}
	for _, r := range used {
		d := digest.Digest(r.Digest)
		needed[d] = true
		if parts, err := readManifest(s.store.read(d)); err == nil {
			for _, part := range parts.wanted() {
				needed[part.Digest] = true
			}
		}
	}
	return s.store.prune(needed)
}

// repository is the client for r's part of its registry; done ends it.
func (s *Source) repository(r Reference) (repo *remote.Repository, done func(), err error) {
	at := s.registries[r.Registry]
	repo, err = remote.NewRepository(r.Registry + "/" + r.Repository)
	if err != nil {
		return nil, nil, explain(r, err)
	}
	repo.PlainHTTP = at.PlainHTTP
	repo.ManifestMediaTypes = []string{
		ocispec.MediaTypeImageManifest, dockerManifest, ocispec.MediaTypeImageIndex, dockerList,
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if at.CA != "" {
		if transport.TLSClientConfig, err = trusting(at.CA); err != nil {
			return nil, nil, explain(r, err)
		}
	}
	credential, err := at.credential(r.Registry)
	if err != nil {
		return nil, nil, explain(r, err)
	}
	client := &auth.Client{Client: &http.Client{Transport: retry.NewTransport(transport)}, Credential: credential, Cache: auth.NewCache()}
	client.SetUserAgent("postern")
	repo.Client = client
	return repo, transport.CloseIdleConnections, nil
}

// trusting returns a TLS configuration that trusts the system's certificates
// and those of file.
func trusting(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the registry's CA: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the registry's CA %s has no certificate in PEM", file)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// credential tells who fetches: as configured, else as `docker login` left it.
func (at Registry) credential(host string) (auth.CredentialFunc, error) {
	if at.Username != "" || at.Password != "" {
		return auth.StaticCredential(host, auth.Credential{Username: at.Username, Password: at.Password}), nil
	}
	docker, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read Docker's configuration for the registry's password: %w", err)
	}
	return credentials.Credential(docker), nil
}

func fetchManifest(ctx context.Context, repo *remote.Repository, reference string) ([]byte, error) {
	described, body, err := repo.Manifests().FetchReference(ctx, reference)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("its manifest has more than %d bytes", maxManifest)
	}
	if got := digest.FromBytes(text); strings.HasPrefix(reference, "sha256:") && got.String() != reference {
		return nil, &mismatch{"the manifest", reference, got.String()}
	}
	if described.MediaType == ocispec.MediaTypeImageIndex || described.MediaType == dockerList {
		_, err := readManifest([]byte(`{"mediaType":"` + described.MediaType + `"}`))
		return nil, err
	}
	return text, nil
}

func fetchBlob(ctx context.Context, repo *remote.Repository, d ocispec.Descriptor) ([]byte, error) {
	body, err := repo.Blobs().Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	blob, err := content.ReadAll(body, d)
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrTrailingData) {
		return nil, &mismatch{"a layer", d.Digest.String(), "other content"}
	}
	return blob, err
}

// mismatch is content that isn't what its digest promised.
type mismatch struct{ what, want, got string }

func (m *mismatch) Error() string {
	return fmt.Sprintf("%s isn't %s: the registry sent %s", m.what, m.want, m.got)
}

// explain makes an *Error of what went wrong with r.
func explain(r Reference, err error) error {
	var own *Error
	if errors.As(err, &own) {
		return &Error{Text: r.String() + ": " + own.Text, Hint: own.Hint, Err: err}
	}
	e := &Error{Text: fmt.Sprintf("fetch %s: %v", r, err), Err: err}
	key := fmt.Sprintf("registry.%q", r.Registry)
	var answer *errcode.ErrorResponse
	var wrong *mismatch
	var unknown x509.UnknownAuthorityError
	var network *net.OpError
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		e.Text = fmt.Sprintf("the registry %s has no %s", r.Registry, r)
		e.Hint = "look at the name and the digest; a registry may also hide what needs a login"
	case errors.As(err, &wrong), strings.Contains(err.Error(), "digest mismatch"):
		e.Hint = "the registry, or somebody on the way, changed it: don't use it"
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		e.Text = fmt.Sprintf("the registry %s refuses %s: %v", r.Registry, r, err)
		e.Hint = "set " + key + ".username and password, or log in with docker or oras"
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		e.Text = fmt.Sprintf("the registry %s wants a user name and a password for %s", r.Registry, r)
		e.Hint = "set " + key + ".username and password, or log in with docker or oras"
	case errors.As(err, &unknown):
		e.Hint = "set " + key + ".ca to the file with the certificate that signed the registry's"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Hint = "the registry has no TLS; if that is meant: " + key + ".plain_http = true"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		e.Text = fmt.Sprintf("%s isn't in the local store, and the registry can't be reached: %v", r, err)
		e.Hint = `with a network, "postern plugin fetch" fills the store; after that none is needed`
	}
	return e
}
