package explain

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Header is the name of the request header that has a token.
const Header = "X-Postern-Trace"

// MaxLife is how long a token may be valid.
const MaxLife = 24 * time.Hour

// Scope is what a token is for.
type Scope struct {
	API     string    `json:"api"`
	Stage   string    `json:"stage,omitempty"` // "" for all of the API
	Expires time.Time `json:"expires"`
}

// Summary is one trace of many.
type Summary struct {
	ID      string        `json:"id"`
	Time    time.Time     `json:"time"`
	API     string        `json:"api"`
	Stage   string        `json:"stage"`
	Request string        `json:"request"`
	Status  int           `json:"status"`
	Fault   string        `json:"fault,omitempty"`
	Took    time.Duration `json:"took_ns"`
}

// Desk gives out tokens, judges them, and keeps the traces that they were good for.
// Safe for concurrent use.
type Desk struct {
	Ring

	file string       // of the key; "" keeps it in memory
	open atomic.Int64 // until when a token may be valid, in Unix seconds; 0: there is none

	mu  sync.Mutex // guards what follows
	key []byte     // nil until it is needed
}

// keyBytes is the length of a key.
const keyBytes = 32

// errToken is a token that isn't one.
var errToken = errors.New("not a token of this gateway")

// OpenDesk returns a desk whose key is in file, if there is one; "" keeps the key in
// memory, and tokens end with the process.
func OpenDesk(file string) (*Desk, error) {
	d := &Desk{file: file}
	if file == "" {
		return d, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("the key of trace tokens: %w", err)
	}
	if len(text) != keyBytes {
		return d, fmt.Errorf("the key of trace tokens: %s has %d bytes, not %d: remove it", file, len(text), keyBytes)
	}
	d.key = text
	// A token of the process before may be good for as long as any.
	d.open.Store(time.Now().Add(MaxLife).Unix())
	return d, nil
}

// Mint returns a token.
func (d *Desk) Mint(s Scope) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.key == nil {
		key := make([]byte, keyBytes)
		_, _ = rand.Read(key) // it never fails
		if d.file != "" {
			if err := keep(d.file, key); err != nil {
				return "", fmt.Errorf("the key of trace tokens: %w", err)
			}
		}
		d.key = key
	}
	s.Expires = s.Expires.UTC().Truncate(time.Second)
	payload, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	for until := d.open.Load(); s.Expires.Unix() > until; until = d.open.Load() {
		d.open.CompareAndSwap(until, s.Expires.Unix())
	}
	return base64.RawURLEncoding.EncodeToString(payload) + "." + base64.RawURLEncoding.EncodeToString(sign(d.key, payload)), nil
}

// keep writes key whole, or not at all.
func keep(file string, key []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".trace-key-*") // for this user only
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what can be read is lost anyway
	}
	return err
}

func sign(key, payload []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(payload)
	return mac.Sum(nil)
}

// Asked reports whether there may be a valid token. It costs one load from memory.
func (d *Desk) Asked() bool { return d.open.Load() != 0 }

// Admits reports whether token is valid at now for a stage of an API.
func (d *Desk) Admits(token, api, stage string, now time.Time) bool {
	if until := d.open.Load(); now.Unix() > until { // no token is good any more
		d.open.CompareAndSwap(until, 0)
		return false
	}
	s, err := d.read(token)
	return err == nil && now.Before(s.Expires) && s.API == api && (s.Stage == "" || s.Stage == stage)
}

// Knows reports whether token is valid at now, for whatever API.
func (d *Desk) Knows(token string, now time.Time) bool {
	s, err := d.read(token)
	return err == nil && d.Admits(token, s.API, s.Stage, now)
}

// maxToken is the length of the longest token that is looked at.
const maxToken = 1024

func (d *Desk) read(token string) (s Scope, err error) {
	payload, sum, found := strings.Cut(token, ".")
	if !found || len(token) > maxToken {
		return s, errToken
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return s, errToken
	}
	mac, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil {
		return s, errToken
	}
	d.mu.Lock()
	key := d.key
	d.mu.Unlock()
	if key == nil || !hmac.Equal(mac, sign(key, text)) {
		return s, errToken
	}
	return s, json.Unmarshal(text, &s)
}
