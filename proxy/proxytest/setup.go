package proxytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// projectRoot is the project's folder, seen from this package, where tests run.
const projectRoot = "../.."

// load starts the gateway with postern.toml, once.
func (p *player) load() {
	p.t.Helper()
	if p.loaded {
		return
	}
	p.loaded = true
	if findings := p.apply("postern.toml"); findings != "" {
		p.fatal(fmt.Errorf("postern.toml has findings:\n%s", findings))
	}
}

// apply writes the archive's files and has the gateway load one of them.
func (p *player) apply(file string) string {
	p.t.Helper()
	if err := p.write(); err != nil {
		p.fatal(err)
	}
	if p.gateway == nil {
		p.gateway = p.start(p.t)
	}
	return p.gateway.Apply(filepath.Join(p.dir, file))
}

// reload makes a file of the archive the configuration.
func (p *player) reload(l line) error {
	p.finish()
	p.load()
	if findings := p.apply(l.rest); findings != "" {
		p.fatal(fmt.Errorf("%s has findings:\n%s", l.rest, findings))
	}
	return nil
}

// refused loads a file that must not load.
func (p *player) refused(l line) error {
	p.finish()
	file := l.rest
	if file == "" {
		file = "postern.toml"
		p.loaded = true
	} else {
		p.load()
	}
	if p.refusal = p.apply(file); p.refusal == "" {
		return fmt.Errorf("%s loads", file)
	}
	return nil
}

// finding judges the findings of the load that was refused.
func (p *player) finding(l line) error {
	if p.refusal == "" {
		return errors.New("nothing was refused before")
	}
	if l.word == "findings" {
		got := strings.Count(p.refusal, ": error: ")
		if want, err := strconv.Atoi(l.rest); err != nil || got != want {
			return differs("findings", strconv.Itoa(got)+"\n"+p.refusal, l.rest)
		}
		return nil
	}
	// Findings name files by their paths; the scenario's folder has no fixed name.
	shown := strings.ReplaceAll(p.refusal, p.dir+string(filepath.Separator), "")
	if want := p.expand(l.rest); !strings.Contains(shown, want) {
		return differs("finding", "\n"+shown, want)
	}
	return nil
}

func (p *player) certificate(l line) error {
	args := strings.Fields(l.rest)
	if len(args) < 2 {
		return errors.New("needs a name and a host")
	}
	return WriteCertificate(p.dir, args[0], args[1:])
}

// signed writes a certificate that an authority of the scenario signed.
func (p *player) signed(l line) error {
	name, rest, _ := strings.Cut(l.rest, " ")
	issuer := ""
	if after, found := strings.CutPrefix(rest, "by "); found {
		issuer, rest, _ = strings.Cut(after, " ")
	}
	if l.word == "authority" {
		if rest != "" {
			return fmt.Errorf("don't understand %q", rest)
		}
		return WriteAuthority(p.dir, name, issuer)
	}
	serial := int64(0)
	if rest != "" && rest != "expired" {
		var err error
		if serial, err = strconv.ParseInt(rest, 0, 64); err != nil {
			return err
		}
	}
	return WriteClient(p.dir, name, issuer, serial, rest == "expired")
}

// guest compiles a plugin of the project's test data. Go's build cache makes
// every time but the first cheap.
func (p *player) guest(l line) error {
	source := filepath.Join(projectRoot, "testdata", "wasm", l.rest)
	text, err := os.ReadFile(filepath.Join(source, "main.go"))
	if err != nil {
		return err
	}
	mode := "-buildmode=exe"
	if strings.Contains(string(text), "\nfunc main() {}") {
		mode = "-buildmode=c-shared" // it lives between calls: a reactor, not a command
	}
	cmd := exec.Command("go", "build", "-trimpath", mode, "-o", filepath.Join(p.dir, l.rest+".wasm"), ".")
	cmd.Dir = source // which may be a module of its own
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		p.fatal(fmt.Errorf("compile %s: %w\n%s", source, err, out))
	}
	return nil
}

// defaultHost returns the host of requests whose script names none: the only
// domain of postern.toml, else the default host of its only API.
func (p *player) defaultHost() string {
	if p.host != "" {
		return p.host
	}
	apis, domains := map[string]bool{}, map[string]bool{}
	for _, f := range p.archive.Files {
		if f.Name != "postern.toml" {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^\[api\.([a-z0-9-]+)`).FindAllSubmatch(f.Data, -1) {
			apis[string(m[1])] = true
		}
		for _, m := range regexp.MustCompile(`(?m)^\[domain\."([^"*]+)"`).FindAllSubmatch(f.Data, -1) {
			domains[string(m[1])] = true
		}
	}
	for _, names := range []map[string]bool{domains, apis} {
		for name := range names {
			if len(names) > 1 {
				break
			}
			if domains[name] {
				return name
			}
			return name + ".localhost"
		}
	}
	p.fatal(errors.New("several hosts: the script must name one"))
	return ""
}
