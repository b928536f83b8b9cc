package workbench

import (
	"encoding/json"

	"github.com/postern-gateway/postern/builtins/internal/vtl"
	"github.com/postern-gateway/postern/proxy/expr"
)

// overrideBytes bounds the text of what a template sets below $context.
const overrideBytes = 1 << 20

// overrides returns as JSON what a template set below $context, nil for nothing,
// and whether some of it is for the request.
func overrides(o *vtl.Overrides) (text json.RawMessage, request bool, err error) {
	all := expr.NewMap()
	if m := filled(o.Request()); m.Len() > 0 {
		request = true
		all.Set("requestOverride", expr.OfMap(m))
	}
	if m := filled(o.Response()); m.Len() > 0 {
		all.Set("responseOverride", expr.OfMap(m))
	}
	if all.Len() == 0 {
		return nil, false, nil
	}
	s, err := expr.OfMap(all).JSON(overrideBytes)
	return json.RawMessage(s), request, err
}

// filled returns m without the tables that are always there and were left empty.
func filled(m *expr.Map) *expr.Map {
	kept := expr.NewMap()
	if m == nil {
		return kept
	}
	for i := range m.Len() {
		if part := m.At(i).Map(); part == nil || part.Len() > 0 {
			kept.Put(m.Key(i), m.At(i))
		}
	}
	return kept
}
