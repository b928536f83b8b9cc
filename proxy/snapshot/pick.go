package snapshot

import (
	"strings"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
)

// Pick is Match for a request to a stage that whoever asks has named, whatever the
// request's host and client: In.Path is the path in the API. ok is false when there is
// no such route; unknown says that there isn't even such a stage.
func (s *Snapshot) Pick(ex *proxy.Exchange, api, stage string) (f proxy.Fault, ok, unknown bool) {
	st := s.stages[api][stage]
	if st == nil {
		return proxy.Fault{Kind: proxy.UnknownAPI}, false, true
	}
	in := &ex.In
	prefix := "/" + stage
	if stage == config.DefaultName {
		prefix = ""
	}
	ex.Stage, ex.Route, ex.Params, ex.HTTP = nil, nil, ex.Params[:0], st.http
	ex.Path, ex.FullPath, ex.Method = in.Path, prefix+in.Path, in.Method
	ex.Domain = proxy.Domain{Name: in.Host, Default: true}
	ex.Domain.Prefix, _, _ = strings.Cut(in.Host, ".")
	if why := override(ex); why != acceptable {
		return refuse(why), false, false
	}
	view, why := checkPath(in.Path)
	switch {
	case why != acceptable:
		return refuse(why), false, false
	case !goodQuery(in.RawQuery):
		return refuse(badQuery), false, false
	}
	f, ok = st.enter(ex, in.Path, view)
	return f, ok, false
}
