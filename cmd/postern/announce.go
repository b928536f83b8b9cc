package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/postern-gateway/postern/proxy/config"
)

// announce says, in a line for each listener, where every API answers.
func (g *gateway) announce(cfg *config.Config) {
	addrs := g.server.Addrs()
	for _, name := range sortedKeys(addrs) {
		g.journal.Info("listening", zap.String("listener", name), zap.Stringer("address", addrs[name]),
			zap.Strings("urls", urls(cfg, cfg.Listen[name], addrs[name])))
	}
	if bound := g.admin.Addr(); bound != nil {
		g.journal.Info("admin", zap.String("address", g.admin.Address()), zap.Stringer("bound", bound))
	}
}

// urls returns the URL of every stage on its API's default host, and those of the
// domains.
func urls(cfg *config.Config, l config.Listen, addr net.Addr) []string {
	scheme, standard := "http", "80"
	if l.TLS != nil {
		scheme, standard = "https", "443"
	}
	port := ""
	if _, p, err := net.SplitHostPort(addr.String()); err == nil && p != standard {
		port = ":" + p
	}
	var all []string
	for _, api := range sortedKeys(cfg.API) {
		for _, stage := range sortedKeys(cfg.API[api].Stage) {
			url := scheme + "://" + api + "." + cfg.Gateway.Suffix + port + stagePath(stage) + "/"
			if cfg.API[api].Type == config.WebSocketType {
				url = "ws" + strings.TrimPrefix(strings.TrimSuffix(url, "/"), "http") // and wss
			}
			all = append(all, url)
		}
	}
	for _, domain := range sortedKeys(cfg.Domain) {
		for _, path := range sortedKeys(cfg.Domain[domain].Map) {
			all = append(all, scheme+"://"+domain+port+path)
		}
	}
	return all
}

// stagePath is what the paths of a stage begin with at its API's default host.
func stagePath(stage string) string {
	if stage == config.DefaultName {
		return ""
	}
	return "/" + stage
}

func sortedKeys[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// union returns what is in a or in b, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// reasonsOf returns what is wrong, a line for each finding.
func reasonsOf(err error) []string {
	bad, ok := err.(*invalid)
	if !ok {
		return []string{err.Error()}
	}
	all := make([]string, len(bad.findings))
	for i := range bad.findings {
		all[i] = inLine(&bad.findings[i])
	}
	return all
}

// inLine returns a finding in one line, without the line of the source.
func inLine(f *config.Finding) string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": " + f.Severity + ": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Text)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}
