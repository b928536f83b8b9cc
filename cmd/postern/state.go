package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	counting "github.com/postern-gateway/postern/builtins/usage"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/state"
	"github.com/postern-gateway/postern/proxy/usage"
)

// memoryPath is the path of a state that isn't kept.
const memoryPath = "memory"

// statePath returns where cfg's state is.
func statePath(cfg *config.Config) (string, error) {
	if cfg.State.Path != "" {
		return cfg.State.Path, nil
	}
	dir, err := dataDir(cfg)
	if err != nil {
		return "", fmt.Errorf("state: %w, or state.path", err)
	}
	return filepath.Join(dir, "state.db"), nil
}

// openStore opens the state at path.
func openStore(path string) (state.Store, error) {
	if path == memoryPath {
		return &state.Memory{}, nil
	}
	return state.Open(path)
}

// Who needs the state.
type stateNeed bool

const (
	ifPlanned stateNeed = false // it is opened if there are plans to count for
	always    stateNeed = true
)

// openState opens cfg's state if it is needed and isn't open. A state stays open
// until the gateway ends, or lets another process have it.
func (g *gateway) openState(cfg *config.Config, need stateNeed) error {
	p := g.parts
	path, err := statePath(cfg)
	if !p.usage.Attached() && len(cfg.Plan) == 0 && need == ifPlanned {
		return nil
	}
	if err != nil {
		return err
	}
	if p.usage.Attached() {
		if path != p.state {
			return fmt.Errorf("state.path can't be changed while the gateway runs: it is %s now; restart the gateway", p.state)
		}
		return nil
	}
	store, err := openStore(path)
	if errors.Is(err, state.ErrInUse) && g.before != nil {
		if err = g.before.release(); err == nil {
			store, err = openStore(path)
		}
	}
	if err != nil {
		return err
	}
	if err := p.usage.Attach(store); err != nil {
		_ = store.Close() // the error is told already
		return err
	}
	p.state = path
	return nil
}

// ledger returns the ledger with its state open, for whoever asks at the admin socket.
func (g *gateway) ledger() (*usage.Ledger, error) {
	cfg := g.serving.Load()
	if cfg == nil {
		return nil, errors.New("no configuration is loaded yet")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lent {
		return nil, errors.New("another process has the state; ask again when it serves")
	}
	if err := g.openState(cfg, always); err != nil {
		return nil, err
	}
	return g.parts.usage, nil
}

// lend closes the state, because the process that is about to take this one's place
// wants it. Requests are counted on, in memory.
func (g *gateway) lend() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lent = true
	return g.parts.usage.Detach()
}

// reclaim opens the state again that was lent to a process which doesn't serve.
func (g *gateway) reclaim() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.lent {
		return
	}
	g.lent = false
	if err := g.openState(g.serving.Load(), ifPlanned); err != nil {
		g.journal.Error("the state can't be opened again, the use of plans is kept in memory", zap.Error(err))
	}
}

// How long the two processes of an upgrade wait for each other's word on the state,
// and how often the old one tells what it counted.
const (
	lendPatience = 10 * time.Second
	tellEvery    = time.Second
)

// tell sends what this process still counts to the one that has its place and its
// state, until stop is closed; then the rest. It closes the connection.
func (g *gateway) tell(to net.Conn, stop <-chan struct{}) {
	defer to.Close()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-stop:
			last = true
		case <-tick.C:
		}
		counted := g.parts.usage.Hand()
		if len(counted) == 0 {
			continue
		}
		err := to.SetWriteDeadline(time.Now().Add(lendPatience))
		if err == nil {
			err = json.NewEncoder(to).Encode(message{Counted: counted})
		}
		if err != nil {
			g.journal.Warn("the new process doesn't learn what was counted here", zap.Error(err))
			return
		}
	}
}

// release asks the process before to let go of the state.
func (p *predecessor) release() error {
	if err := p.conn.SetDeadline(time.Now().Add(lendPatience)); err != nil {
		return err
	}
	defer func() { _ = p.conn.SetDeadline(time.Time{}) }() // else later words fail, and say so
	if err := json.NewEncoder(p.conn).Encode(message{Release: true}); err != nil {
		return fmt.Errorf("state: ask the process before for it: %w", err)
	}
	var answer message
	if err := p.words.Decode(&answer); err != nil {
		return fmt.Errorf("state: the process before doesn't let go of it: %w", err)
	}
	if !answer.Released {
		return errors.New("state: the process before doesn't let go of it")
	}
	return nil
}

// listen adds what the process before still counts, until it ends.
func (p *predecessor) listen(receive func([]usage.Requests) error, logger *zap.Logger) {
	for {
		var m message
		if p.words.Decode(&m) != nil { // it has ended
			return
		}
		if err := receive(m.Counted); err != nil {
			logger.Warn("what the process before counted is lost", zap.Error(err))
		}
	}
}

// catalog tells what keys have to fit from now on.
func (p *parts) catalog(cfg *config.Config) { p.usage.SetCatalog(counting.Catalog(cfg)) }
