package cors

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-gateway/postern/builtins/internal/origin"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
)

// check judges a cors table.
func check(c *config.CORS) error {
	if c.Off {
		return wrong([]string{"off"}, "only a route can be without CORS", "remove the table")
	}
	if len(c.AllowOrigins) == 0 {
		return wrong(nil, "no origin is allowed", `add allow_origins = ["https://app.example.com"], or "*" for all`)
	}
	for i, allowed := range c.AllowOrigins {
		at := []string{"allow_origins", strconv.Itoa(i)}
		if text, hint := origin.Check(allowed); text != "" {
			return wrong(at, text, hint)
		}
		if c.AllowCredentials && (allowed == "*" || allowed == "null" || strings.HasSuffix(allowed, "://*")) {
			return wrong(at, fmt.Sprintf("%q with allow_credentials would let every site act for the users that are signed in", allowed),
				"list the origins, or remove allow_credentials")
		}
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"allow_methods", c.AllowMethods}, {"allow_headers", c.AllowHeaders}, {"expose_headers", c.ExposeHeaders}} {
		for i, name := range list.names {
			at := []string{list.key, strconv.Itoa(i)}
			switch {
			case name == "*" && c.AllowCredentials:
				return wrong(at, `"*" isn't a wildcard with allow_credentials: browsers take it as a name`, "list the names")
			case !http1.ValidFieldName(name):
				return wrong(at, fmt.Sprintf("%q can't be a name", name), "one name an entry")
			case list.key == "allow_methods" && name != strings.ToUpper(name):
				return wrong(at, fmt.Sprintf("methods are compared with regard to case: %q", name), "write "+strings.ToUpper(name))
			}
		}
	}
	return nil
}

func wrong(path []string, text, hint string) error {
	return &config.KeyError{Path: path, Text: text, Hint: hint}
}
