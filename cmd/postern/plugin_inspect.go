package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy/config"
)

func newPluginInspect(s *streams) *cobra.Command {
	var t target
	var format string
	c := &cobra.Command{
		Use:   "inspect [PLUGIN]",
		Short: "Tell what a module is, what it asks for, and what to grant",
		Long: "Tell what a module is: its ABI, roles, imports by capability, exports, memory, size,\n" +
			"digest and manifest; and the lines of configuration that let it run. The module is\n" +
			"started once, in its sandbox, for what only it can tell. The exit code is 3 when it\n" +
			"can't be loaded as configured.",
		Example: "  postern plugin inspect guard.wasm\n" +
			"  postern plugin inspect guard --format json      # of ./postern.toml\n" +
			"  postern plugin inspect oci://registry.example.com/guard@sha256:…",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			cfg, name, err := t.find(strings.Join(args, ""))
			if err != nil {
				return err
			}
			return inspectPlugin(c.Context(), s, cfg, name, format)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func inspectPlugin(ctx context.Context, s *streams, cfg *config.Config, name, format string) error {
	cache, artifacts := folders(cfg)
	host, err := plugins.NewHost(plugins.Options{CacheDir: cache, ArtifactDir: artifacts, Logger: zap.NewNop()})
	if err != nil {
		return &failure{exitFailed, err}
	}
	defer host.Close()
	a, findings := host.Examine(ctx, cfg, name)
	if findings.Failed() {
		return invalidFindings(findings)
	}
	if format == "json" {
		err = s.printJSON(a)
	} else {
		_, werr := fmt.Fprint(s.out, describeModule(cfg.Plugin[name].Module, name, a))
		err = wrote(werr)
	}
	if err == nil && a.Refusal != "" {
		return &failure{code: exitInvalid}
	}
	return err
}

// describeModule is an anatomy for people.
func describeModule(module, name string, a *plugins.Anatomy) string {
	var b strings.Builder
	row := func(what, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", what, value)
		}
	}
	row("module", module)
	row("size", fmt.Sprintf("%d bytes", a.Size))
	row("sha256", a.SHA256)
	row("abi", a.ABI)
	row("roles", strings.Join(a.Roles, ", "))
	memory := fmt.Sprintf("%d KiB at the start", a.Memory.Minimum>>10)
	if a.Memory.Maximum > 0 {
		memory += fmt.Sprintf(", at most %d KiB", a.Memory.Maximum>>10)
	}
	row("memory", memory)
	if m := a.Manifest; m != nil {
		row("manifest", m.Name+" "+m.Version)
		row("", m.Description)
		row("license", m.License)
		row("homepage", m.Homepage)
		row("hosts", strings.Join(m.Hosts, ", "))
		row("config", string(m.Config))
	}
	b.WriteString("imports\n")
	for _, group := range importGroups(a.Imports) {
		fmt.Fprintf(&b, "  %s\n", group)
	}
	exports := "none"
	if len(a.Exports) > 0 {
		exports = strings.Join(a.Exports, ", ")
	}
	fmt.Fprintf(&b, "exports\n  %s\n", exports)
	toRun := "To run it"
	if a.Refusal != "" {
		fmt.Fprintf(&b, "\nIt can't be loaded: %s\n", a.Refusal)
		if a.Hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", a.Hint)
		}
		if a.ABI == "" {
			return b.String()
		}
		toRun = "To run it, once that is put right"
	}
	fmt.Fprintf(&b, "\n%s:\n\n%s", toRun, configurationFor(module, name, a))
	return b.String()
}

// importGroups are the imports, a line for each module that they come from.
func importGroups(imports []plugins.Import) []string {
	if len(imports) == 0 {
		return []string{"none"}
	}
	var lines []string
	for i := 0; i < len(imports); {
		from := imports[i]
		var names []string
		for ; i < len(imports) && imports[i].Module == from.Module; i++ {
			name := imports[i].Name
			if !imports[i].Provided {
				name += " (not provided)"
			}
			names = append(names, name)
		}
		line := from.Module
		if from.Group != "" {
			line += " (capability " + from.Group + ")"
		}
		lines = append(lines, line+": "+strings.Join(names, ", "))
	}
	return lines
}

// configurationFor are the lines that let a plugin run: its table with what it
// has to be granted, and where its roles stand.
func configurationFor(module, name string, a *plugins.Anatomy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  [plugin.%s]\n  module = %q\n  sha256 = %q\n", name, module, a.SHA256)
	var hosts []string
	if a.Manifest != nil {
		hosts = a.Manifest.Hosts
	}
	for _, group := range a.Groups {
		switch group {
		case "http":
			quoted := make([]string, len(hosts))
			for i, h := range hosts {
				quoted[i] = fmt.Sprintf("%q", h)
			}
			fmt.Fprintf(&b, "  http = { allow = [%s] }   # the hosts that it may call\n", strings.Join(quoted, ", "))
		case "kv":
			b.WriteString("  kv = {}\n")
		case "metric":
			b.WriteString("  metrics = true\n")
		}
	}
	if a.Manifest != nil && a.Manifest.Config != nil {
		b.WriteString("  config = { }   # see its schema above\n")
	}
	for _, role := range a.Roles {
		if use := useOf(role, name); !strings.Contains(b.String(), use) { // two roles of a filter stand in one place
			b.WriteString(use)
		}
	}
	return b.String()
}

// useOf shows where a plugin stands in a role.
func useOf(role, name string) string {
	i := slices.IndexFunc(roleUses, func(u roleUse) bool { return u.role == role })
	if i < 0 {
		return ""
	}
	return "\n" + strings.ReplaceAll(roleUses[i].text, "NAME", name)
}

// roleUse is where a role stands in the configuration.
type roleUse struct{ role, text string }

// roleUses are the lines for each role.
var roleUses = []roleUse{
	{"authorize", "  [authorizer.NAME]\n  type = \"wasm\"\n  plugin = \"NAME\"\n  # and in a route: authorizer = \"NAME\"\n"},
	{"integrate", "  [api.x.route.\"GET /path\"]\n  integration = { type = \"wasm\", plugin = \"NAME\" }\n"},
	{"request", "  [api.x]   # or one of its routes\n  filters = [\"NAME\"]\n"},
	{"response", "  [api.x]   # or one of its routes\n  filters = [\"NAME\"]\n"},
	{"request_body", "  [api.x]   # or one of its routes\n  filters = [\"NAME\"]\n"},
	{"response_body", "  [api.x]   # or one of its routes\n  filters = [\"NAME\"]\n"},
	{"map_request", "  # in a route's integration: map_request = \"NAME\"\n"},
	{"map_response", "  # in a route's integration: map_response = \"NAME\"\n"},
	{"validate", "  # in a route: validator = { plugin = \"NAME\" }\n"},
	{"dns", "  [acme.dns.x]\n  type = \"wasm\"\n  plugin = \"NAME\"\n"},
	{"certify", "  [acme.on_demand]\n  plugin = \"NAME\"\n"},
}
