package config

import (
	"os"
	"strings"
	"testing"
)

// Whatever is wrong with a file, what it says of secrets isn't shown: neither of the
// wrong line's own nor of those beside it.
func TestSecretsAreNotShown(t *testing.T) {
	t.Setenv("CANARY_ENV", "canary-of-env")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("secret.txt", []byte("canary-of-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	const head = "[listen.public]\naddress = \"127.0.0.1:0\"\n"
	for name, text := range map[string]string{
		"unknown key beside":    `registry."r.example" = { username = "u", password = "canary", plain_htp = true }`,
		"a slip of the pen":     `registry."r.example" = { pasword = "canary" }`,
		"another's word":        `registry."r.example" = { token = 'canary' }`,
		"unknown table":         `rgistry."r.example" = { password = "canary" }`,
		"in the wrong table":    "[listen.other]\naddress = \":0\"\nregistry.r = { password = \"canary\", session_token = \"canary\" }",
		"syntax after it":       `registry."r.example".password = "canary" oops`,
		"syntax before it":      `registry."r.example" = { username = oops, password = "canary" }`,
		"a string without end":  "registry.\"r.example\" = { password = \"canary\", username = \"u }",
		"wrong type":            `registry."r.example".password = ["canary"]`,
		"wrong type, a table":   `registry."r.example".password = { a = "canary" }`,
		"wrong type, a number":  `registry."r.example".password = 1234567890123`,
		"names in env":          "[plugin.x]\nmodule = \"no.wasm\"\nenv = { a-b = \"canary\", C = 1234567890123 }",
		"env that isn't there":  "[plugin.x]\nmodule = \"no.wasm\"\nenv = { A = \"canary${env:NO_SUCH_CANARY}\", B = \"canary\" }",
		"lists in config":       "[plugin.x]\nmodule = \"no.wasm\"\nconfig = { a = [\"canary\", { b = 'canary' }] }; oops",
		"several lines":         "[plugin.x]\nmodul = \"\"\nconfig_text = \"\"\"\ncanary\ncanary\"\"\" oops",
		"a URL's password":      "[api.a]\ntype = \"rest\"\n[api.a.stage.s]\n[api.a.route.\"GET /\"]\nintegration = { type = \"http\", url = \"http://me:canary@127.0.0.1/\" }",
		"expanded, of a file":   "[log]\nlevel = \"${file:secret.txt}\"",
		"expanded, of env":      "[log]\nlevel = \"${env:CANARY_ENV}\"",
		"expanded in a URL":     "[api.a]\ntype = \"rest\"\n[api.a.stage.s]\n[api.a.route.\"GET /\"]\nintegration = { type = \"http\", url = \"http://${env:CANARY_ENV}@127.0.0.1/\" }",
		"expanded to a size":    "[listen.other]\naddress = \":0\"\nlimits.body = \"${env:CANARY_ENV}\"",
		"expanded to a prefix":  "[guard.g]\ntype = \"ip\"\nallow = [\"${env:CANARY_ENV}\"]",
		"expanded to an origin": "[guard.g]\ntype = \"origin\"\norigins = [\"${env:CANARY_ENV}\"]",
		"expanded to a target":  "[backend.b]\ntargets = [\"${env:CANARY_ENV}\"]",
		"expanded to a file":    "[client_certificate.c]\ncert = \"${env:CANARY_ENV}\"",
	} {
		_, findings := Parse("postern.toml", []byte(text+"\n"+head))
		if !findings.Failed() {
			t.Errorf("%s: loads, so that it proves nothing", name)
		}
		shown := findings.Text() + string(findings.JSON())
		for _, secret := range []string{"canary", "1234567890123"} {
			shown := strings.ReplaceAll(strings.ReplaceAll(shown, "NO_SUCH_CANARY", ""), "CANARY_ENV", "")
			if strings.Contains(shown, secret) {
				t.Errorf("%s: shows %s:\n%s", name, secret, shown)
			}
		}
	}
}

func TestStars(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := stars(s); got != want {
			t.Errorf("%s: got %s, want %s", s, got, want)
		}
	}
	f(`"abc"`, `"***"`)
	f(`'äö'`, `'**'`)
	f(`"""abc"""`, `"""***"""`)
	f(`""`, `**`)
	f(`"${env:A}"`, `"${env:A}"`)
	f(`"x${env:A}yz${file:b}"`, `"*${env:A}**${file:b}"`)
	f(`"${env:A"`, `"*******"`)
	f(`17`, `**`)
}
