package storetest

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-gateway/postern/proxy/certificate"
)

// Memory is a certificate.Store that lasts as long as the process.
type Memory struct {
	mu        sync.Mutex // guards what follows
	documents map[string]document
	claims    map[string]claimed
}

type document struct {
	value []byte
	put   time.Time
}

type claimed struct {
	owner string
	until time.Time
}

// NewMemory returns a store without documents.
func NewMemory() *Memory {
	return &Memory{documents: map[string]document{}, claims: map[string]claimed{}}
}

// Get implements certificate.Store.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, there := m.documents[key]
	if !there {
		return nil, time.Time{}, fs.ErrNotExist
	}
	return slices.Clone(d.value), d.put, nil
}

// Put implements certificate.Store.
func (m *Memory) Put(ctx context.Context, key string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.documents[key] = document{slices.Clone(value), time.Now()}
	return nil
}

// Delete implements certificate.Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.documents, func(k string, _ document) bool { return k == key || strings.HasPrefix(k, key+"/") })
	return nil
}

// List implements certificate.Store.
func (m *Memory) List(ctx context.Context, key string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for k := range m.documents {
		if key == "" || strings.HasPrefix(k, key+"/") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Claim implements certificate.Store.
func (m *Memory) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if c, there := m.claims[name]; there && c.owner != owner && now.Before(c.until) {
		return false, nil
	}
	m.claims[name] = claimed{owner, now.Add(ttl)}
	return true, nil
}

// Release implements certificate.Store.
func (m *Memory) Release(_ context.Context, name, owner string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.claims[name].owner == owner {
		delete(m.claims, name)
	}
	return nil
}

var _ certificate.Store = (*Memory)(nil)
