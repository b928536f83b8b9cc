package proxytest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// Gateway is a gateway in this process, as a scenario sees it.
type Gateway interface {
	// Apply loads a configuration file and serves it. It returns the findings
	// as the command line prints them, "" when there were none; with findings
	// the earlier configuration stays.
	Apply(file string) (findings string)
	// Addr returns the address of a listener, "" when there is none of that name.
	Addr(listener string) string
	// Close stops the gateway and waits until it is gone.
	Close()
}

// Run plays every scenario (*.txtar) below dir, each as a subtest named after
// its file. start makes a gateway that serves nothing yet.
func Run(t *testing.T, dir string, start func(t *testing.T) Gateway) {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == ".txtar" {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no scenarios below %s", dir)
	}
	for _, file := range files {
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.ToSlash(rel), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, file, archive, start)
		})
	}
}

// play plays one scenario.
func play(t *testing.T, file string, archive *txtar.Archive, start func(t *testing.T) Gateway) {
	t.Helper()
	script, err := readScript(string(archive.Comment))
	if err != nil {
		t.Fatalf("%s:%v", file, err)
	}
	p := &player{
		t: t, file: file, dir: t.TempDir(), archive: archive, start: start,
		backends: map[string]*backend{}, issuers: map[string]*issuer{}, texts: map[string]string{}, listener: "public",
	}
	defer p.close()
	for _, l := range script {
		p.line = l
		do, found := words()[l.word]
		if !found {
			p.fatal(fmt.Errorf("unknown word %q", l.word))
		}
		if !composing(l.word) {
			p.flush()
		}
		p.line = l
		if err := do(p, l); err != nil {
			p.report(err)
		}
	}
	p.flush()
	p.finish()
}

// write puts the archive's files into the scenario's folder, with the addresses
// of backends in place of their names.
func (p *player) write() error {
	for _, f := range p.archive.Files {
		name := filepath.Join(p.dir, filepath.FromSlash(f.Name))
		if !strings.HasPrefix(name, p.dir) {
			return fmt.Errorf("%s is outside the scenario's folder", f.Name)
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(p.expand(string(f.Data))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// expand replaces $NAME by the address of backend name, or by token name, and $DIR
// by the scenario's folder; $PORT of the gateway's listener once it listens.
func (p *player) expand(text string) string {
	return regexp.MustCompile(`\$[A-Z][A-Z0-9_]*`).ReplaceAllStringFunc(text, func(m string) string {
		name := strings.ToLower(m[1:])
		if b := p.backends[name]; b != nil {
			return b.addr()
		}
		if made, found := p.texts[name]; found {
			return made
		}
		switch {
		case name == "dir":
			return filepath.ToSlash(p.dir)
		case name == "port" && p.gateway != nil:
			addr := p.gateway.Addr(p.listener)
			return addr[strings.LastIndexByte(addr, ':')+1:]
		}
		return m
	})
}
