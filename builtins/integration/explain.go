package integration

import (
	"fmt"

	"github.com/postern-gateway/postern/builtins/mapping"
	"github.com/postern-gateway/postern/proxy"
)

// explainMapped tells the exchange's trace, if it has one, what a parameter was mapped
// to, and from where.
func explainMapped(ex *proxy.Exchange, target, value string, found bool, source *mapping.Source) {
	if ex.Explain == nil {
		return
	}
	if !found {
		ex.Explain.Remark(target, "left out: there is no value for it", source.String())
		return
	}
	ex.Explain.Note(target, value, source.String())
}

// explainOverride tells what a template has set.
func explainOverride(ex *proxy.Exchange, target, value string) {
	if ex.Explain != nil {
		ex.Explain.Note(target, value, "overridden by the template")
	}
}

// explainTemplate tells which template was chosen, nil for none, for content or a
// client of such a media type.
func explainTemplate(ex *proxy.Exchange, t *mapping.Template, field, mediaType string) {
	if ex.Explain == nil {
		return
	}
	if mediaType == "" {
		mediaType = "nothing"
	}
	because := fmt.Sprintf("%s is %s", field, mediaType)
	switch {
	case t == nil:
		ex.Explain.Note("template", "none: the content passes as it is", because)
	case t.Plugin != nil:
		ex.Explain.Note("template", "a plugin stands for it", because)
	default:
		ex.Explain.Note("template", t.Type.Value, because)
	}
}

// explain tells why a was chosen.
func (a *answer) explain(ex *proxy.Exchange, came outcome) {
	because := "no pattern fits: it is the default"
	if a.pattern != "" {
		because = "its pattern " + a.pattern + " is the first that fits"
	}
	switch {
	case came == failed:
		because += ", and the function failed"
	case ex.Back.Status != 0:
		because += fmt.Sprintf(", status %d came back", ex.Back.Status)
	}
	ex.Explain.Note("response", fmt.Sprintf("%s: status %d", a.name, a.status), because)
}
