package certificate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// challenges are the questions of authorities that wait for their answers: those
// about orders of this process, and by way of the store those of others.
type challenges struct {
	storage *storage
	logger  *zap.Logger

	open atomic.Int64 // in memory

	mu     sync.RWMutex // guards what follows
	tokens map[string]string
	proofs map[string]*tls.Certificate
}

func newChallenges(s *storage, logger *zap.Logger) *challenges {
	return &challenges{storage: s, logger: logger, tokens: map[string]string{}, proofs: map[string]*tls.Certificate{}}
}

// Names of documents about challenges.
const (
	tokenDocuments = "challenges/http/"
	proofDocuments = "challenges/alpn/"
)

// token is the document about a question that is asked over HTTP.
type token struct {
	Host   string `json:"host"`
	Answer string `json:"answer"`
}

// ChallengePath is where authorities ask over HTTP. RFC 8555, 8.3.
const ChallengePath = "/.well-known/acme-challenge/"

// maxToken is more than the tokens of any authority have. RFC 8555, 8.1 says only
// that they have 128 bits of entropy.
const maxToken = 256

// isToken tells what may be a token from any other path. RFC 8555, 8.3: base64url.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}

// answer returns what proves to whoever asks host for path that host is ours.
func (c *challenges) answer(ctx context.Context, host, path string) (string, bool) {
	name, found := strings.CutPrefix(path, ChallengePath)
	if !found || !isToken(name) {
		return "", false
	}
	c.mu.RLock()
	text, known := c.tokens[host+"/"+name]
	c.mu.RUnlock()
	if known {
		return text, true
	}
	document, err := c.storage.Load(ctx, tokenDocuments+strings.ToLower(host)+"/"+name)
	if err != nil {
		return "", false
	}
	var t token
	if json.Unmarshal(document, &t) != nil || t.Host != host {
		return "", false
	}
	return t.Answer, true
}

// proof returns the certificate for a hello that asks for a proof, by the protocol
// that it offers alone; nil when it is like any other, or nobody waits for one.
// RFC 8737, 3.
func (c *challenges) proof(hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmez.ACMETLS1Protocol {
		return nil
	}
	name := strings.ToLower(hello.ServerName)
	c.mu.RLock()
	made := c.proofs[name]
	c.mu.RUnlock()
	if made != nil || name == "" || strings.ContainsAny(name, "/\\") {
		return made
	}
	ctx := hello.Context()
	if ctx == nil { // a hello that came by no connection
		ctx = context.Background()
	}
	document, err := c.storage.Load(ctx, proofDocuments+name)
	if err != nil {
		return nil
	}
	var question acme.Challenge
	if json.Unmarshal(document, &question) != nil || question.Identifier.Value != name {
		return nil
	}
	made, err = acmez.TLSALPN01ChallengeCert(question)
	if err != nil {
		c.logger.Error("an authority's question can't be answered", zap.String("name", name), zap.Error(err))
		return nil
	}
	return made
}

// overHTTP answers http-01.
type overHTTP struct{ *challenges }

// Present implements acmez.Solver.
func (c overHTTP) Present(ctx context.Context, question acme.Challenge) error {
	host := question.Identifier.Value
	c.mu.Lock()
	c.tokens[host+"/"+question.Token] = question.KeyAuthorization
	c.mu.Unlock()
	c.open.Add(1)
	return c.share(ctx, tokenDocuments+host+"/"+question.Token, token{Host: host, Answer: question.KeyAuthorization})
}

// CleanUp implements acmez.Solver.
func (c overHTTP) CleanUp(ctx context.Context, question acme.Challenge) error {
	host := question.Identifier.Value
	c.mu.Lock()
	delete(c.tokens, host+"/"+question.Token)
	c.mu.Unlock()
	c.open.Add(-1)
	return c.unshare(ctx, tokenDocuments+host+"/"+question.Token)
}

// overTLS answers tls-alpn-01.
type overTLS struct{ *challenges }

// Present implements acmez.Solver.
func (c overTLS) Present(ctx context.Context, question acme.Challenge) error {
	made, err := acmez.TLSALPN01ChallengeCert(question)
	if err != nil {
		return err
	}
	name := question.Identifier.Value
	c.mu.Lock()
	c.proofs[name] = made
	c.mu.Unlock()
	c.open.Add(1)
	return c.share(ctx, proofDocuments+name, question)
}

// CleanUp implements acmez.Solver.
func (c overTLS) CleanUp(ctx context.Context, question acme.Challenge) error {
	name := question.Identifier.Value
	c.mu.Lock()
	delete(c.proofs, name)
	c.mu.Unlock()
	c.open.Add(-1)
	return c.unshare(ctx, proofDocuments+name)
}

// share lets other processes answer, which the authority may come to instead.
// Failing that, this one may still be asked.
func (c *challenges) share(ctx context.Context, key string, question any) error {
	document, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if err := c.storage.Store(ctx, key, document); err != nil {
		c.logger.Warn("only this process can answer an authority's question", zap.Error(err))
	}
	return nil
}

func (c *challenges) unshare(ctx context.Context, key string) error {
	err := c.storage.Delete(context.WithoutCancel(ctx), key)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

var (
	_ acmez.Solver = overHTTP{}
	_ acmez.Solver = overTLS{}
)
