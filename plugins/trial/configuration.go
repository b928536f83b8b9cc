package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/proxy/config"
)

// quote writes s as a TOML string: JSON's escapes are a subset of TOML's.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `""` // strings always marshal
	}
	return string(text)
}

// CommandLine is the file that findings about what File returned name.
const CommandLine = "the command line"

// File returns the configuration of one plugin, called name, of the given module,
// for commands that are given no configuration. settings are further options:
// KEY=VALUE, the value as in TOML, or a text that needs no quotes.
func File(name, module string, settings ...string) (*config.Config, config.Findings) {
	var b strings.Builder
	fmt.Fprintf(&b, "[listen.none]\naddress = \"127.0.0.1:0\"\n[plugin.%s]\nmodule = %s\n", quote(name), quote(module))
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		value = strings.TrimSpace(value)
		if !isValue(value) {
			value = quote(value)
		}
		fmt.Fprintf(&b, "%s = %s\n", strings.TrimSpace(key), value)
	}
	return config.Parse(CommandLine, []byte(b.String()))
}

// isValue tells a TOML value from a text without quotes.
func isValue(s string) bool {
	if s == "true" || s == "false" {
		return true
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return true
	}
	return s != "" && strings.ContainsRune(`"'[{`, rune(s[0]))
}

// configFor is plugins' configuration with one API, whose only route has the
// plugin called name in role.
func configFor(plugins *config.Config, name, role string, c *Case) (*config.Config, error) {
	target, err := c.Request.target()
	if err != nil {
		return nil, err
	}
	host := target.Host
	for _, h := range c.Request.Headers {
		if strings.EqualFold(h.Name, "Host") {
			host = h.Value
		}
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if aboutNames(role) {
		return nil, fmt.Errorf("the role %s is about no request: postern plugin check tries it", role)
	}
	path, _, _ := strings.Cut(target.Path, "?")
	resource := c.Resource
	if resource == "" {
		if resource = "/{proxy+}"; path == "/" {
			resource = "/"
		}
	}
	plugin := quote(name)
	var b strings.Builder
	fmt.Fprintf(&b, "[listen.none]\naddress = \"127.0.0.1:0\"\n[plugin.%s]\nmodule = %s\n", plugin, quote(plugins.Plugin[name].Module))
	route := fmt.Sprintf("[api.trial.route.%s]\n", quote("ANY "+resource))
	backend := "url = " + quote("http://backend.test"+strings.ReplaceAll(resource, "+}", "}"))
	integration := `type = "http_proxy", ` + backend
	filters := ""
	switch role {
	case "authorize":
		fmt.Fprintf(&b, "[authorizer.trial]\ntype = \"wasm\"\nplugin = %s\n", plugin)
		route += "authorizer = \"trial\"\n"
	case "integrate":
		integration = `type = "wasm", plugin = ` + plugin
	case "request", "response", "request_body", "response_body":
		filters = "filters = [" + plugin + "]\n"
	case "map_request", "map_response":
		integration = fmt.Sprintf(`type = "http_proxy", %s, %s = %s`, backend, role, plugin)
	case "validate":
		route += "validator = { plugin = " + plugin + " }\n"
	}
	fmt.Fprintf(&b, "[api.trial]\ntype = \"rest\"\n%s%sintegration = { %s }\n[api.trial.stage.test]\n", filters, route, integration)
	if len(c.Variables) > 0 {
		b.WriteString("[api.trial.stage.test.variables]\n")
		for _, name := range slices.Sorted(maps.Keys(c.Variables)) {
			fmt.Fprintf(&b, "%s = %s\n", quote(name), quote(c.Variables[name]))
		}
	}
	fmt.Fprintf(&b, "[domain.%s.map]\n\"/\" = \"trial:test\"\n", quote(strings.ToLower(host)))
	cfg, findings := config.Parse("the trial's route", []byte(b.String()))
	if cfg == nil || findings.Failed() {
		return nil, errors.New(findings.Error())
	}
	cfg.Plugin, cfg.Registry = plugins.Plugin, plugins.Registry
	return cfg, nil
}
