// Package responsecache answers requests from what backends answered before: the cache of
// a stage, which goes by the keys that routes declare (AWS's), and one for single
// integrations, which goes by what backends and clients say (RFC 9111).
package responsecache

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-gateway/postern/proxy/cache"
	"github.com/postern-gateway/postern/proxy/config"
)

// Memory holds the caches of all stages. Snapshots come and go: a new one goes on with
// what is there. Safe for concurrent use.
type Memory struct {
	sealer cipher.AEAD // by a key of this process
	seed   maphash.Seed

	pendings pendings

	// Answers that are asked for anew while clients get the old ones.
	background context.Context
	stop       context.CancelFunc
	work       sync.WaitGroup
	places     chan struct{} // of those under way at the same time

	mu     sync.Mutex // guards what follows
	stages map[stageName]*store
}

// stageName is the name of a cache: a canary has one of its own, unless it shares the stage's.
type stageName struct {
	api, stage string
	canary     bool
}

// refreshes is how many answers are asked for anew at the same time without a client
// that waits.
const refreshes = 64

// NewMemory returns one that holds nothing, which the caller closes.
func NewMemory() *Memory {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // the key has the right size
	}
	sealer, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // the block, too
	}
	m := &Memory{
		sealer: sealer, seed: maphash.MakeSeed(),
		places: make(chan struct{}, refreshes), stages: map[stageName]*store{},
	}
	m.background, m.stop = context.WithCancel(context.Background())
	return m
}

// Close forgets everything. No snapshot may use m any more.
func (m *Memory) Close() {
	m.stop()
	m.work.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, s := range m.stages {
		s.kept.Close()
		delete(m.stages, name)
	}
}

// Flush has the caches of a stage, or of all of an API's for "", forget all answers. Answers
// that are on their way are not kept either.
func (m *Memory) Flush(api, stage string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, s := range m.stages {
		if name.api == api && (stage == "" || name.stage == stage) {
			s.generation.Add(1)
		}
	}
}

// Caches returns what there is to say of the caches, in the order of their stages' names, that
// of a canary last.
func (m *Memory) Caches() []Figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := []Figures{}
	for name, s := range m.stages {
		all = append(all, Figures{
			API: name.api, Stage: name.stage, Canary: name.canary, Size: s.size, Used: s.kept.Cost(),
			Hits: s.hits.Load(), Misses: s.misses.Load(),
		})
	}
	slices.SortFunc(all, func(a, b Figures) int {
		canary := 0
		if a.Canary {
			canary = 1
		}
		return cmp.Or(strings.Compare(a.API, b.API), strings.Compare(a.Stage, b.Stage), canary)
	})
	return all
}

// Figures are what there is to say of a stage's cache.
type Figures struct {
	API, Stage   string
	Canary       bool  // the cache is the canary's own
	Size, Used   int64 // bytes
	Hits, Misses uint64
}

// store returns the cache of a stage, which the caller releases.
func (m *Memory) store(name stageName, size int64) *store {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stages[name]
	if s == nil || s.size != size {
		// Who uses the one before keeps it until it is released.
		s = &store{memory: m, name: name, size: size, kept: cache.New[*entry](size), flights: map[string]*flight{}}
		m.stages[name] = s
	}
	s.users++
	return s
}

// release gives s back.
func (s *store) release() {
	m := s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	s.kept.Close()
	if m.stages[s.name] == s {
		delete(m.stages, s.name)
	}
}

// store is the cache of one stage.
type store struct {
	// Set at construction.
	memory *Memory
	name   stageName
	size   int64
	kept   *cache.Cache[*entry]

	users int // guarded by memory.mu

	generation   atomic.Uint64 // part of all keys
	hits, misses atomic.Uint64

	// epochs count what was changed by requests, by the hash of what they changed. Two that
	// share one cost each other an answer now and then.
	epochs [1 << 12]atomic.Uint32

	mu      sync.Mutex // guards what follows
	flights map[string]*flight
}

// epoch returns the count of changes for a URL.
func (s *store) epoch(host, target string) *atomic.Uint32 {
	var h maphash.Hash
	h.SetSeed(s.memory.seed)
	_, _ = h.WriteString(host)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(target)
	return &s.epochs[h.Sum64()%uint64(len(s.epochs))]
}

// sizeOf returns how large a stage's cache is.
func sizeOf(cfg *config.Config, name stageName) int64 {
	if c := cfg.API[name.api].Stage[name.stage].Cache; c != nil {
		return int64(c.Size)
	}
	return defaultSize
}

// defaultSize is the size of a cache that nobody has said anything of, in bytes.
const defaultSize = 64 << 20

// defaultEntry is the most content that is kept of one answer, in bytes. AWS: "Amazon API
// Gateway quotas": 1048576.
const defaultEntry = 1 << 20

// defaultWait is how long a request waits for the answer to another.
const defaultWait = 5 * time.Second
