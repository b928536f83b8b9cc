package usage

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/state"
)

// Key is an API key that was made by command.
type Key struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Enabled     bool      `json:"enabled"`
	Plans       []string  `json:"plans"`
	Created     time.Time `json:"created"`
	// Value is there when the key was just made, and never again: only its hash is kept.
	Value string `json:"value,omitempty"`
}

// record is a Key as the store has it.
type record struct {
	Key
	SHA256 string `json:"sha256"`
}

// Catalog is what the configuration says that keys have to fit.
type Catalog struct {
	Plans    map[string]PlanFacts
	Declared map[Sum]string      // ids of the configuration's own keys
	Keys     map[string][]string // their plans, by id
}

// PlanFacts are what keys and reports have to know of a plan.
type PlanFacts struct {
	Stages []string // "api:stage"
	Quota  Quota
}

// SetCatalog makes c what keys have to fit from now on.
func (l *Ledger) SetCatalog(c Catalog) { l.catalog.Store(&c) }

// Errors of changes, within what explains them.
var (
	ErrUnknown = errors.New("not found")
	ErrTwice   = errors.New("there already")
	ErrInvalid = errors.New("not valid")
)

// Limits of what is known of a key. AWS: CreateApiKey, "name".
const (
	maxName        = 1024
	maxDescription = 4096
	maxPlans       = 10
)

// load reads all keys of store.
func (l *Ledger) load(store state.Store) error {
	n := 0
	if err := store.Each(keyTable, "", "", func(state.Entry) error { n++; return nil }); err != nil {
		return err
	}
	l.made.Reserve(n)
	return store.Each(keyTable, "", "", func(e state.Entry) error {
		r, err := readRecord(e)
		if err != nil {
			return err
		}
		return l.admit(r)
	})
}

func readRecord(e state.Entry) (*record, error) {
	r := new(record)
	if err := json.Unmarshal(e.Value, r); err != nil {
		return nil, fmt.Errorf("state: the API key %q can't be read: %w", e.Key, err)
	}
	return r, nil
}

// admit makes r the credential that requests find. What it has used stays.
func (l *Ledger) admit(r *record) error {
	var sum Sum
	if n, err := hex.Decode(sum[:], []byte(r.SHA256)); err != nil || n != len(sum) {
		return fmt.Errorf("state: the API key %q has no hash", r.ID)
	}
	c := l.made.Find(&sum)
	if c == nil || c.ID() != r.ID {
		l.made.add(&sum, r.ID, l.planSet(r.Plans), nil, !r.Enabled)
		return nil
	}
	c.plans.Store(l.planSet(r.Plans))
	c.enable(r.Enabled)
	return nil
}

// Create makes a key. Without a value it gets one of 40 letters and digits; without
// an id one of ten. What it returns has the value.
func (l *Ledger) Create(k Key, by string) (Key, error) {
	if k.Value == "" {
		k.Value = random(alphanumerics, 40)
	}
	all := []Key{k}
	err := l.put(all, by, "API key created", false)
	return all[0], err
}

// ImportCSV makes the keys of a file that ReadCSV takes, all or none. One whose value
// is there already is overwritten and keeps its id. What it returns has no values.
func (l *Ledger) ImportCSV(file []byte, by string) ([]Key, error) {
	all, err := ReadCSV(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	if err := l.put(all, by, "API key imported", true); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Value = ""
	}
	return all, nil
}

// put writes keys and fills in what they lack.
func (l *Ledger) put(all []Key, by, event string, overwrite bool) error {
	l.changing.Lock()
	defer l.changing.Unlock()
	store := l.store.Load()
	if store == nil {
		return ErrDetached
	}
	records := make([]*record, len(all))
	changes := make([]state.Change, len(all))
	seen := map[Sum]bool{}
	for i := range all {
		k := &all[i]
		if err := l.check(k); err != nil {
			return err
		}
		sum := SumOf(k.Value)
		if id, declared := l.catalog.Load().Declared[sum]; declared {
			return fmt.Errorf("key %q: %w: it is the configuration's key %q", k.Name, ErrTwice, id)
		}
		old := l.made.Find(&sum)
		if seen[sum] || old != nil && !overwrite {
			return fmt.Errorf("key %q: a key with this value is %w", k.Name, ErrTwice)
		}
		seen[sum] = true
		k.ID, k.Created = random(lowerAlphanumerics, 10), l.clock().UTC().Truncate(time.Second)
		if old != nil {
			k.ID = old.ID()
		}
		r := &record{Key: *k, SHA256: hex.EncodeToString(sum[:])}
		r.Value = ""
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		records[i], changes[i] = r, state.Change{Table: keyTable, Key: k.ID, Value: text}
	}
	if err := (*store).Update(changes); err != nil {
		return err
	}
	for _, r := range records {
		if err := l.admit(r); err != nil {
			return err
		}
		l.audit(event, by, &r.Key)
	}
	return nil
}

// check reports what is wrong with k. No error quotes its value.
func (l *Ledger) check(k *Key) error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("key %q: %w: %s", k.Name, ErrInvalid, fmt.Sprintf(format, args...))
	}
	switch {
	case k.Name == "":
		return fmt.Errorf("%w: a key needs a name", ErrInvalid)
	case !utf8.ValidString(k.Name+k.Description) || strings.ContainsFunc(k.Name+k.Description, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }):
		return invalid("control characters in its name or description")
	case len(k.Name) > maxName || len(k.Description) > maxDescription:
		return invalid("a name has at most %d bytes, a description %d", maxName, maxDescription)
	case len(k.Value) < MinValue || len(k.Value) > MaxValue:
		return invalid("its value has to have %d to %d characters", MinValue, MaxValue)
	case strings.ContainsFunc(k.Value, func(r rune) bool { return r >= 0x80 || !strings.ContainsRune(alphanumerics+"-_", r) }):
		return invalid(`its value may have letters, digits, "-" and "_"`)
	}
	return l.checkPlans(k)
}

func (l *Ledger) checkPlans(k *Key) error {
	if len(k.Plans) > maxPlans {
		return fmt.Errorf("key %q: %w: %d plans; at most %d", k.Name, ErrInvalid, len(k.Plans), maxPlans)
	}
	in := map[string]string{}
	for _, name := range k.Plans {
		facts, there := l.catalog.Load().Plans[name]
		if !there {
			return fmt.Errorf("key %q: %w: the configuration has no plan %q", k.Name, ErrInvalid, name)
		}
		for _, stage := range facts.Stages {
			if other, twice := in[stage]; twice {
				return fmt.Errorf("key %q: %w: the plans %q and %q both have the stage %s, and a key is in one plan of a stage", k.Name, ErrInvalid, other, name, stage)
			}
			in[stage] = name
		}
	}
	return nil
}

// find returns the record of the key with that id or, if there is just one, that
// name. The caller holds changing.
func (l *Ledger) find(name string) (*record, error) {
	store := l.store.Load()
	if store == nil {
		return nil, ErrDetached
	}
	var found []*record
	if name != "" {
		err := (*store).Each(keyTable, name, name+"\x00", func(e state.Entry) error {
			r, err := readRecord(e)
			found = append(found, r)
			return err
		})
		if err != nil || len(found) == 1 {
			return one(found), err
		}
	}
	err := (*store).Each(keyTable, "", "", func(e state.Entry) error {
		r, err := readRecord(e)
		if err == nil && r.Name == name {
			found = append(found, r)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("no key has the id or the name %q: %w", name, ErrUnknown)
	case len(found) > 1:
		return nil, fmt.Errorf("%d keys have the name %q: %w: say the id, such as %s", len(found), name, ErrInvalid, found[0].ID)
	}
	return found[0], nil
}

func one(found []*record) *record {
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// Show returns the key with that id or name.
func (l *Ledger) Show(name string) (Key, error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	r, err := l.find(name)
	if err != nil {
		return Key{}, err
	}
	return r.Key, nil
}

// List returns keys in the order of their ids: those after the id after, at most n.
func (l *Ledger) List(after string, n int) ([]Key, error) {
	store := l.store.Load()
	if store == nil {
		return nil, ErrDetached
	}
	all := []Key{}
	err := (*store).Each(keyTable, after+"\x00", "", func(e state.Entry) error {
		if len(all) == n {
			return errEnough
		}
		r, err := readRecord(e)
		if err == nil {
			all = append(all, r.Key)
		}
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return all, err
}

// Enable makes the key with that id or name good again, or no good.
func (l *Ledger) Enable(name string, enabled bool, by string) (Key, error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	r, err := l.find(name)
	if err != nil {
		return Key{}, err
	}
	r.Enabled = enabled
	text, err := json.Marshal(r)
	if err != nil {
		return Key{}, err
	}
	if err := (*l.store.Load()).Update([]state.Change{{Table: keyTable, Key: r.ID, Value: text}}); err != nil {
		return Key{}, err
	}
	event := "API key disabled"
	if enabled {
		event = "API key enabled"
	}
	l.audit(event, by, &r.Key)
	return r.Key, l.admit(r)
}

// Delete removes the key with that id or name. What it used stays in reports.
func (l *Ledger) Delete(name, by string) (Key, error) {
	l.changing.Lock()
	defer l.changing.Unlock()
	r, err := l.find(name)
	if err != nil {
		return Key{}, err
	}
	if err := (*l.store.Load()).Update([]state.Change{{Table: keyTable, Key: r.ID, Delete: true}}); err != nil {
		return Key{}, err
	}
	if c := l.credential(r); c != nil {
		l.made.Remove(c)
	}
	l.audit("API key deleted", by, &r.Key)
	return r.Key, nil
}

// credential returns what requests find of r, or nil.
func (l *Ledger) credential(r *record) *Credential {
	var sum Sum
	if n, err := hex.Decode(sum[:], []byte(r.SHA256)); err != nil || n != len(sum) {
		return nil
	}
	return l.made.Find(&sum)
}

// accountsOf returns the first of the accounts of the key with that id, nil if there
// are none in this process: of one of the configuration, or of r.
func (l *Ledger) accountsOf(id string, r *record) *Account {
	if r != nil {
		if c := l.credential(r); c != nil {
			return c.accounts()
		}
		return nil
	}
	l.names.Lock()
	defer l.names.Unlock()
	return l.declared[id]
}

// audit tells of a change: who made it, and of what.
func (l *Ledger) audit(event, by string, k *Key) {
	l.logger.Info(event, zap.String("by", by), zap.String("key", k.ID), zap.String("name", k.Name),
		zap.Bool("enabled", k.Enabled), zap.Strings("plans", k.Plans))
}

// Characters of ids and values.
const (
	lowerAlphanumerics = "abcdefghijklmnopqrstuvwxyz0123456789"
	alphanumerics      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + lowerAlphanumerics
)

// random returns n characters of an alphabet, all equally likely.
func random(alphabet string, n int) string {
	text := make([]byte, 0, n)
	var pool [64]byte
	for len(text) < n {
		_, _ = rand.Read(pool[:]) // it never fails
		for _, b := range pool {
			if limit := 256 - 256%len(alphabet); int(b) < limit && len(text) < n {
				text = append(text, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(text)
}
