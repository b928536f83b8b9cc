package mapping

import "testing"

func TestHasReference(t *testing.T) {
	// What Velocity copies.
	for _, text := range []string{"", "{}", "costs $5, or $ 6", "$.path", "$[0]", "&#39; #1", "#fff #ff0000", "a#top", `C:\x`, "#iffy #ending"} {
		if hasReference(text) {
			t.Errorf("%q is literal", text)
		}
	}
	// References however they are written, directives, comments, raw text, and
	// what is an error.
	for _, text := range []string{`{"v":"$stageVariables.version"}`, "$x", "$_x", "$!x", "${x}", "$!{x}", `\$x`, "$$x", `$\!x`, "a $",
		"x #if($a) y", "#{else}", "#end", "#set ($a = 1)", "## comment", "#* comment *#", "#[[ raw ]]#", "# title", "#", "#@x()"} {
		if !hasReference(text) {
			t.Errorf("%q isn't literal", text)
		}
	}
}
