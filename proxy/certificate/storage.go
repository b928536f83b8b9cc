package certificate

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// storage is certmagic's view of a Store.
//
// What belongs to one certificate (key, chain and a note on them: three keys of
// certmagic's) is one document, which is put when the last of the three is stored.
// So none of them is ever without the others or beside those of another
// certificate, whether the disk is full, the process killed, or somebody else
// reads just now.
//
// A document begins with its checksum. One that doesn't fit it counts as absent.
type storage struct {
	store  Store
	logger *zap.Logger
	owner  string // of claims: this process
	lease  time.Duration

	corrupt atomic.Int64 // documents that weren't what was put
	failed  atomic.Int64 // documents that couldn't be put

	mu      sync.Mutex // guards what follows
	pending map[string]*pair
	held    map[string]context.CancelFunc // stops keeping the claim
	told    map[string]bool               // damaged documents that the log knows of
}

// pair is a certificate with its key, as it is stored.
type pair struct {
	Key   []byte `json:"key"`   // PEM
	Chain []byte `json:"chain"` // PEM, leaf first
	Note  []byte `json:"note"`  // certmagic's, in JSON
}

// leaseTime is how long a claim outlives its owner.
const leaseTime = 15 * time.Second

func newStorage(store Store, logger *zap.Logger) *storage {
	return &storage{
		store: store, logger: logger, owner: rand.Text(), lease: leaseTime,
		pending: map[string]*pair{}, held: map[string]context.CancelFunc{}, told: map[string]bool{},
	}
}

// String keeps keys that are pending out of logs.
func (s *storage) String() string { return "certificate storage" }

// sitePart takes a key of certmagic's apart that is one of three of a certificate.
func sitePart(key string) (document, part string, is bool) {
	dir, name := path.Split(key)
	extension := path.Ext(name)
	if !strings.HasPrefix(key, "certificates/") || strings.Count(key, "/") != 3 {
		return "", "", false
	}
	switch extension {
	case ".key", ".crt", ".json":
		return path.Clean(dir), extension, true
	}
	return "", "", false
}

func (p *pair) part(extension string) *[]byte {
	switch extension {
	case ".key":
		return &p.Key
	case ".crt":
		return &p.Chain
	}
	return &p.Note
}

// Store implements certmagic.Storage.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	document, part, is := sitePart(key)
	if !is {
		return s.put(ctx, key, value)
	}
	s.mu.Lock()
	p := s.pending[document]
	if p == nil {
		p = new(pair)
		s.pending[document] = p
	}
	*p.part(part) = slices.Clone(value)
	if p.Key == nil || p.Chain == nil || p.Note == nil {
		s.mu.Unlock()
		return nil
	}
	delete(s.pending, document)
	s.mu.Unlock()
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.put(ctx, document, text)
}

// Load implements certmagic.Storage.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	document, part, is := sitePart(key)
	if !is {
		value, _, err := s.get(ctx, key)
		return value, err
	}
	s.mu.Lock()
	if p := s.pending[document]; p != nil {
		if value := *p.part(part); value != nil {
			s.mu.Unlock()
			return value, nil
		}
	}
	s.mu.Unlock()
	p, err := s.pair(ctx, document)
	if err != nil {
		return nil, err
	}
	return *p.part(part), nil
}

// pair returns the certificate that is stored as document.
func (s *storage) pair(ctx context.Context, document string) (*pair, error) {
	text, _, err := s.get(ctx, document)
	if err != nil {
		return nil, err
	}
	p := new(pair)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, s.damaged(document, err)
	}
	return p, nil
}

// Delete implements certmagic.Storage.
func (s *storage) Delete(ctx context.Context, key string) error {
	document, part, is := sitePart(key)
	if !is {
		return s.store.Delete(ctx, key)
	}
	s.mu.Lock()
	p := s.pending[document]
	if p != nil {
		*p.part(part) = nil
		if p.Key == nil && p.Chain == nil && p.Note == nil {
			delete(s.pending, document)
		}
		s.mu.Unlock()
		return nil // what is stored is that of before
	}
	s.mu.Unlock()
	return nil // a part goes with its folder, which certmagic deletes last
}

// Exists implements certmagic.Storage.
func (s *storage) Exists(ctx context.Context, key string) bool {
	if _, err := s.Load(ctx, key); err == nil {
		return true
	}
	below, err := s.List(ctx, key, false)
	return err == nil && len(below) > 0
}

// List implements certmagic.Storage.
func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	prefix = strings.Trim(prefix, "/")
	keys, err := s.store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	if len(siteKeys(prefix)) > 1 && len(keys) == 0 {
		if _, _, err := s.get(ctx, prefix); err == nil {
			keys = []string{prefix} // a folder of certmagic's is a document here
		}
	}
	var all []string
	for _, key := range keys {
		for _, key := range siteKeys(key) {
			if !strings.HasPrefix(key, prefix+"/") && prefix != "" {
				continue
			}
			from := 0
			if prefix != "" {
				from = len(prefix) + 1
			}
			for i := from; i < len(key); i++ { // the folders on the way
				if key[i] == '/' && (recursive || !strings.Contains(key[from:i], "/")) {
					all = append(all, key[:i])
				}
			}
			if recursive || !strings.Contains(key[from:], "/") {
				all = append(all, key)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == 0 {
		return nil, fs.ErrNotExist
	}
	return all, nil
}

// siteKeys returns the keys that certmagic knows a document by.
func siteKeys(document string) []string {
	if !strings.HasPrefix(document, "certificates/") || strings.Count(document, "/") != 2 {
		return []string{document}
	}
	name := document + "/" + path.Base(document)
	return []string{name + ".crt", name + ".json", name + ".key"}
}

// Stat implements certmagic.Storage.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, err := s.Load(ctx, key)
	if err != nil {
		if below, listed := s.List(ctx, key, false); listed == nil && len(below) > 0 {
			return certmagic.KeyInfo{Key: key}, nil
		}
		return certmagic.KeyInfo{}, err
	}
	document, _, is := sitePart(key)
	if !is {
		document = key
	}
	_, put, err := s.get(ctx, document)
	if err != nil && !is { // else it is pending
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: put, Size: int64(len(value)), IsTerminal: true}, nil
}

// seal is what documents begin with; the checksum and the length follow.
const seal = "postern 1 sha256 "

// put stores value with its checksum.
func (s *storage) put(ctx context.Context, key string, value []byte) error {
	sum := sha256.Sum256(value)
	err := s.store.Put(ctx, key, append(fmt.Appendf(nil, "%s%x %d\n", seal, sum, len(value)), value...))
	if err != nil {
		s.failed.Add(1)
		return fmt.Errorf("store %s: %w", key, err)
	}
	s.mu.Lock()
	delete(s.told, key)
	s.mu.Unlock()
	return nil
}

// get returns a document that is what was put. fs.ErrNotExist is its error also for
// one that isn't.
func (s *storage) get(ctx context.Context, key string) ([]byte, time.Time, error) {
	text, put, err := s.store.Get(ctx, key)
	if err != nil {
		return nil, put, err
	}
	head, value, _ := bytes.Cut(text, []byte("\n"))
	var sum string
	var length int
	rest, sealed := strings.CutPrefix(string(head), seal)
	if n, err := fmt.Sscanf(rest, "%s %d", &sum, &length); !sealed || n != 2 || err != nil {
		return nil, put, s.damaged(key, errors.New("it doesn't begin with a checksum"))
	}
	got := sha256.Sum256(value)
	switch {
	case length != len(value):
		return nil, put, s.damaged(key, fmt.Errorf("%d bytes of %d", len(value), length))
	case hex.EncodeToString(got[:]) != sum:
		return nil, put, s.damaged(key, errors.New("its checksum is wrong"))
	}
	return value, put, nil
}

// damaged tells once that a document isn't what was put. The error is an
// fs.ErrNotExist: whoever needs it gets a new one.
func (s *storage) damaged(key string, cause error) error {
	s.mu.Lock()
	known := s.told[key]
	s.told[key] = true
	s.mu.Unlock()
	if !known {
		s.corrupt.Add(1)
		s.logger.Error("a stored document is damaged and counts as absent", zap.String("key", key), zap.Error(cause))
	}
	return fmt.Errorf("%s is damaged: %w: %w", key, cause, fs.ErrNotExist)
}

// retry is how often a claim is asked for that somebody else has.
const retry = 250 * time.Millisecond

// Lock implements certmagic.Locker. The claim is kept until Unlock, and ends by
// itself some seconds after the process did.
func (s *storage) Lock(ctx context.Context, name string) error {
	name = certmagic.StorageKeys.Safe(name)
	owner := s.owner + "-" + rand.Text() // two that wait in this process aren't one
	for {
		mine, err := s.store.Claim(ctx, name, owner, s.lease)
		if err != nil {
			return fmt.Errorf("claim %s: %w", name, err)
		}
		if mine {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(retry, s.lease/4)):
		}
	}
	kept, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.keep(kept, name, owner)
	}()
	s.mu.Lock()
	s.held[name] = func() {
		stop()
		<-ended
		if err := s.store.Release(context.Background(), name, owner); err != nil {
			s.logger.Warn("a claim can't be given back, it ends by itself", zap.String("name", name), zap.Error(err))
		}
	}
	s.mu.Unlock()
	return nil
}

// keep claims name again and again until ctx ends.
func (s *storage) keep(ctx context.Context, name, owner string) {
	tick := time.NewTicker(s.lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if mine, err := s.store.Claim(ctx, name, owner, s.lease); ctx.Err() == nil && (err != nil || !mine) {
				s.logger.Warn("a claim can't be kept", zap.String("name", name), zap.Bool("lost", !mine), zap.Error(err))
			}
		}
	}
}

// Unlock implements certmagic.Locker.
func (s *storage) Unlock(_ context.Context, name string) error {
	name = certmagic.StorageKeys.Safe(name)
	s.mu.Lock()
	end := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if end == nil {
		return fmt.Errorf("%s isn't locked", name)
	}
	end()
	return nil
}

var _ certmagic.Storage = (*storage)(nil)
