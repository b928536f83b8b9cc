package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/postern-gateway/postern/proxy/deployment"
	"github.com/postern-gateway/postern/proxy/usage"
)

// Paths of API keys and usage plans. Answers are JSON; what is wrong is {"message"}.
//
//	GET    /keys?after=ID&limit=N  {"keys": […]}, in the order of ids
//	POST   /keys                   {"name", "description", "enabled", "plans", "value"} makes one: 201, with its value
//	POST   /keys/import            a text/csv file of keys, all or none: {"keys": […]}
//	GET    /keys/NAME              one, by id or name
//	PATCH  /keys/NAME              {"enabled": BOOL}
//	DELETE /keys/NAME
//	GET    /usage?plan=NAME        or ?key=NAME; &from=DAY&to=DAY: {"reports": […]}
//	POST   /usage/extend           {"key", "plan", "requests"} grants requests in the present period
const (
	keysPath   = "/keys"
	keyPath    = "/keys/{name}"
	importPath = "/keys/import"
	usagePath  = "/usage"
	extendPath = "/usage/extend"
)

// Bounds of what is asked for.
const (
	maxQuestion = 64 << 10 // bytes of a JSON body
	maxCSV      = 32 << 20 // bytes of a file of API keys
	maxListed   = 1000     // keys of one answer
)

// newKey is what a key is made of; it is enabled unless it says otherwise.
type newKey struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Enabled     *bool    `json:"enabled,omitempty"`
	Plans       []string `json:"plans,omitempty"`
	Value       string   `json:"value,omitempty"`
}

// keyChange is what can change of a key.
type keyChange struct {
	Enabled *bool `json:"enabled"`
}

// extension is what is granted, and when it was, to whom.
type extension struct {
	Key      string `json:"key"`
	Plan     string `json:"plan"`
	Requests int64  `json:"requests"`
}

// keyList and reportList are answers.
type (
	keyList struct {
		Keys []usage.Key `json:"keys"`
	}
	reportList struct {
		Reports []usage.Report `json:"reports"`
	}
)

// offerKeys adds the paths of API keys and usage plans.
func (s *Server) offerKeys() {
	s.offer(keysPath, s.asked(s.listKeys))
	s.offer(keyPath, s.asked(s.showKey))
	s.offer(usagePath, s.asked(s.reports))
	s.change("POST", keysPath, s.createKey)
	s.change("POST", importPath, s.importKeys)
	s.change("PATCH", keyPath, s.changeKey)
	s.change("DELETE", keyPath, s.deleteKey)
	s.change("POST", extendPath, s.extend)
}

// question answers one request with a value that becomes JSON.
type question func(l *usage.Ledger, r *http.Request) (any, error)

// asked answers with what q does, with the state open.
func (s *Server) asked(q question) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l, err := s.options.Usage()
		var answer any
		if err == nil {
			answer, err = q(l, r)
		}
		if err != nil {
			writeJSON(w, statusOf(err), map[string]any{"message": err.Error()})
			return
		}
		status := http.StatusOK
		if r.Method == http.MethodPost && r.URL.Path == keysPath {
			status = http.StatusCreated
		}
		writeJSON(w, status, answer)
	}
}

// change adds a path that changes something. A page of a browser can't ask for it:
// what it may send unasked isn't taken, and it tells its origin.
func (s *Server) change(method, path string, q question) {
	want := jsonType
	if path == importPath {
		want = "text/csv"
	}
	s.guarded(method, path, want, s.asked(q))
}

// jsonType is the Content-Type of JSON.
const jsonType = "application/json"

// guarded is change for any answer to a body of the type want.
func (s *Server) guarded(method, path, want string, answer http.HandlerFunc) {
	s.methods[path] = append(s.methods[path], method)
	s.mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
		got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // "" is wrong, too
		switch {
		case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
			writeJSON(w, http.StatusForbidden, map[string]any{"message": "not for pages of a browser"})
		case r.Method != http.MethodDelete && got != want:
			writeJSON(w, http.StatusUnsupportedMediaType, map[string]any{"message": "the Content-Type must be " + want})
		default:
			s.audited(answer)(w, r)
		}
	})
}

// statusOf returns the status for an error of the ledger.
func statusOf(err error) int {
	switch {
	case errors.Is(err, usage.ErrUnknown), errors.Is(err, deployment.ErrUnknown):
		return http.StatusNotFound
	case errors.Is(err, usage.ErrTwice), errors.Is(err, deployment.ErrInUse), errors.Is(err, deployment.ErrNothing), errors.Is(err, deployment.ErrBusy):
		return http.StatusConflict
	case errors.Is(err, usage.ErrInvalid), errors.Is(err, deployment.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrConfiguration):
		return http.StatusUnprocessableEntity
	}
	return http.StatusServiceUnavailable
}

// read reads a JSON body strictly.
func read(r *http.Request, into any) error { return readUpTo(r, into, maxQuestion) }

// readUpTo is read for a body of at most limit bytes.
func readUpTo(r *http.Request, into any, limit int64) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, limit))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", usage.ErrInvalid, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: one JSON value was wanted", usage.ErrInvalid)
	}
	return nil
}

func (s *Server) listKeys(l *usage.Ledger, r *http.Request) (any, error) {
	limit := maxListed
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxListed {
			return nil, fmt.Errorf("%w: limit is 1 to %d", usage.ErrInvalid, maxListed)
		}
		limit = n
	}
	keys, err := l.List(r.FormValue("after"), limit)
	return keyList{keys}, err
}

func (s *Server) showKey(l *usage.Ledger, r *http.Request) (any, error) {
	return l.Show(r.PathValue("name"))
}

func (s *Server) createKey(l *usage.Ledger, r *http.Request) (any, error) {
	var k newKey
	if err := read(r, &k); err != nil {
		return nil, err
	}
	plans := k.Plans
	if plans == nil {
		plans = []string{}
	}
	return l.Create(usage.Key{
		Name: k.Name, Description: k.Description, Plans: plans, Value: k.Value, Enabled: k.Enabled == nil || *k.Enabled,
	}, peer(r))
}

func (s *Server) importKeys(l *usage.Ledger, r *http.Request) (any, error) {
	file, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxCSV))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", usage.ErrInvalid, err)
	}
	keys, err := l.ImportCSV(file, peer(r))
	return keyList{keys}, err
}

func (s *Server) changeKey(l *usage.Ledger, r *http.Request) (any, error) {
	var c keyChange
	if err := read(r, &c); err != nil {
		return nil, err
	}
	if c.Enabled == nil {
		return nil, fmt.Errorf(`%w: say {"enabled": true} or false`, usage.ErrInvalid)
	}
	return l.Enable(r.PathValue("name"), *c.Enabled, peer(r))
}

func (s *Server) deleteKey(l *usage.Ledger, r *http.Request) (any, error) {
	return l.Delete(r.PathValue("name"), peer(r))
}

func (s *Server) reports(l *usage.Ledger, r *http.Request) (any, error) {
	plan, key := r.FormValue("plan"), r.FormValue("key")
	from, to := r.FormValue("from"), r.FormValue("to")
	switch {
	case (plan == "") == (key == ""):
		return nil, fmt.Errorf("%w: say plan=NAME or key=NAME", usage.ErrInvalid)
	case key != "":
		all, err := l.KeyUse(key, from, to)
		return reportList{all}, err
	}
	one, err := l.Report(plan, "", from, to)
	return reportList{[]usage.Report{one}}, err
}

func (s *Server) extend(l *usage.Ledger, r *http.Request) (any, error) {
	var e extension
	if err := read(r, &e); err != nil {
		return nil, err
	}
	var err error
	e.Key, e.Plan, err = l.Extend(e.Key, e.Plan, e.Requests, peer(r))
	return e, err
}
