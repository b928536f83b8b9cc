package trial

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

// Header is one header field, or one entry of an authorizer's context.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Request is a request of a client, or what a backend got.
type Request struct {
	Method  string   `json:"method"`
	URL     string   `json:"url"` // "https://host/path?query", or from the path on
	Headers []Header `json:"headers,omitempty"`
	Body    string   `json:"body,omitempty"`
	Client  string   `json:"client,omitempty"` // address; "" for 192.0.2.1
}

// Response is an answer.
type Response struct {
	Status  int      `json:"status"`
	Headers []Header `json:"headers,omitempty"`
	Body    string   `json:"body,omitempty"`
}

// Case is a request for a plugin, what stands around it, and what should come
// of it.
type Case struct {
	Plugin    string            `json:"plugin,omitempty"`    // "" for the only one, or the one that the command names
	Role      string            `json:"role,omitempty"`      // "" for the plugin's only one
	Resource  string            `json:"resource,omitempty"`  // of the route: "/pets/{id}"; "" takes every path
	Variables map[string]string `json:"variables,omitempty"` // of the stage
	Request   Request           `json:"request"`
	Backend   *Response         `json:"backend,omitempty"` // what the backend answers; nil for 200 and a line of text
	Skip      string            `json:"skip,omitempty"`    // why it isn't run
	Want      []string          `json:"want,omitempty"`    // lines of the outcome; "not " before what must not be there
	WantBody  *string           `json:"want_body,omitempty"`

	archive *txtar.Archive // what it was read from
}

// target is where a request goes.
type target struct{ Scheme, Host, Path string }

func (r *Request) target() (target, error) {
	if strings.HasPrefix(r.URL, "/") {
		return target{"http", "localhost", r.URL}, nil
	}
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return target{}, fmt.Errorf("%q is no URL: write https://HOST/PATH, or /PATH", r.URL)
	}
	t := target{u.Scheme, u.Host, r.URL[strings.Index(r.URL, "://")+3+len(u.Host):]}
	if !strings.HasPrefix(t.Path, "/") {
		t.Path = "/" + t.Path
	}
	return t, nil
}

// The files of a case.
const (
	requestFile  = "request"
	backendFile  = "backend"
	wantFile     = "want"
	wantBodyFile = "want.body"
)

// ParseCase reads a case: a txtar archive, whose comment has lines such as
// "role authorize", and whose files are request, backend, want and want.body.
// Request and backend are HTTP messages as on the wire, with newlines. Errors
// name the line.
func ParseCase(name string, text []byte) (*Case, error) {
	c := &Case{Variables: map[string]string{}, archive: txtar.Parse(text)}
	for i, line := range strings.Split(string(c.archive.Comment), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := c.set(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	seen := false
	for _, f := range c.archive.Files {
		var err error
		switch f.Name {
		case requestFile:
			seen = true
			client := c.Request.Client
			c.Request, err = parseRequest(string(f.Data))
			c.Request.Client = client
		case backendFile:
			c.Backend, err = parseResponse(string(f.Data))
		case wantFile:
			for line := range strings.Lines(string(f.Data)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					c.Want = append(c.Want, line)
				}
			}
		case wantBodyFile:
			body := string(f.Data)
			c.WantBody = &body
		default:
			err = errors.New("a case has the files request, backend, want and want.body")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
	}
	if !seen {
		return nil, fmt.Errorf("%s: there is no request: add a line \"-- request --\" and below it \"GET /path\"", name)
	}
	return c, nil
}

// set takes one line of a case's head.
func (c *Case) set(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "plugin":
		c.Plugin = rest
	case "role":
		c.Role = rest
	case "resource":
		c.Resource = rest
	case "client":
		c.Request.Client = rest
	case "skip":
		c.Skip = rest
		if rest == "" {
			return errors.New("say why: skip REASON")
		}
	case "variable":
		name, value, found := strings.Cut(rest, "=")
		if !found {
			return fmt.Errorf("%q: want variable NAME=VALUE", line)
		}
		c.Variables[name] = value
	default:
		return fmt.Errorf("%q: a case's lines are plugin, role, resource, client, variable and skip; comments begin with #", line)
	}
	return nil
}

func parseRequest(text string) (Request, error) {
	first, headers, body, err := parseMessage(text)
	words := strings.Fields(first)
	if err == nil && (len(words) < 2 || len(words) > 3) {
		err = fmt.Errorf("line 1: %q: want a line such as GET /path", first)
	}
	if err != nil {
		return Request{}, err
	}
	return Request{Method: words[0], URL: words[1], Headers: headers, Body: body}, nil
}

func parseResponse(text string) (*Response, error) {
	first, headers, body, err := parseMessage(text)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(strings.TrimPrefix(first, "HTTP/1.1 "))
	if len(words) > 0 {
		if status, err := strconv.Atoi(words[0]); err == nil && status >= 200 && status < 600 {
			return &Response{status, headers, body}, nil
		}
	}
	return nil, fmt.Errorf("line 1: %q: want a status such as 200", first)
}

// parseMessage takes a message apart: first line, headers, an empty line, body.
func parseMessage(text string) (first string, headers []Header, body string, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	for i, line := range lines[1:] {
		name, value, found := strings.Cut(line, ":")
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			return "", nil, "", fmt.Errorf("line %d: %q isn't a header such as Accept: text/plain", i+2, line)
		}
		headers = append(headers, Header{name, strings.TrimSpace(value)})
	}
	return lines[0], headers, body, nil
}

// Lines is the outcome as the lines that a case's want names. What differs from
// run to run isn't in it.
func (o *Outcome) Lines() []string {
	var all []string
	add := func(name, value string) {
		if value != "" {
			all = append(all, name+": "+value)
		}
	}
	add("verdict", o.Verdict)
	add("principal", o.Principal)
	for _, c := range o.Context {
		add("context "+c.Name, c.Value)
	}
	add("failure", o.Failure)
	add("fault", o.Fault)
	if o.Sent != nil {
		add("sent", o.Sent.Method+" "+o.Sent.URL)
		for _, h := range o.Sent.Headers {
			if !volatile(h.Name) {
				add("sent "+h.Name, h.Value)
			}
		}
		if o.Sent.Body != "" {
			add("sent body", strconv.Quote(o.Sent.Body))
		}
	}
	add("status", strconv.Itoa(o.Reply.Status))
	for _, h := range o.Reply.Headers {
		if !volatile(h.Name) {
			add("header "+h.Name, h.Value)
		}
	}
	for _, l := range o.Logs {
		add("log", l)
	}
	return all
}

// volatile reports whether a header's value is another one in each run.
func volatile(name string) bool {
	return slices.ContainsFunc([]string{"X-Amzn-Trace-Id", "X-Amzn-RequestId", "X-Amz-Apigw-Id", "Date"}, func(v string) bool { return strings.EqualFold(v, name) })
}

// Check compares an outcome with what the case wants, and returns what isn't
// so, a line each.
func (c *Case) Check(o *Outcome) []string {
	var wrong []string
	got := o.Lines()
	for _, want := range c.Want {
		unwanted, negated := strings.CutPrefix(want, "not ")
		switch {
		case negated:
			for _, line := range got {
				if line == unwanted || strings.HasPrefix(strings.ToLower(line), strings.ToLower(unwanted)+":") {
					wrong = append(wrong, "there is, against \""+want+"\": "+line)
				}
			}
		case !slices.Contains(got, want):
			wrong = append(wrong, "want "+want+", got "+nearest(got, want))
		}
	}
	if c.WantBody != nil && strings.TrimSuffix(*c.WantBody, "\n") != strings.TrimSuffix(o.Reply.Body, "\n") {
		wrong = append(wrong, fmt.Sprintf("want the body %q, got %q", *c.WantBody, o.Reply.Body))
	}
	return wrong
}

// nearest returns the lines of got about the same thing as want.
func nearest(got []string, want string) string {
	name, _, _ := strings.Cut(want, ":")
	var same []string
	for _, line := range got {
		if n, _, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			same = append(same, line)
		}
	}
	if len(same) == 0 {
		return "nothing of the kind"
	}
	return strings.Join(same, "; ")
}

// Update returns the case's text with the outcome as what it wants.
func (c *Case) Update(o *Outcome) []byte {
	a := &txtar.Archive{Comment: c.archive.Comment}
	for _, f := range c.archive.Files {
		if f.Name != wantFile && f.Name != wantBodyFile {
			a.Files = append(a.Files, f)
		}
	}
	a.Files = append(a.Files, txtar.File{Name: wantFile, Data: []byte(strings.Join(o.Lines(), "\n") + "\n")})
	if o.Reply.Body != "" {
		a.Files = append(a.Files, txtar.File{Name: wantBodyFile, Data: []byte(o.Reply.Body)})
	}
	return txtar.Format(a)
}
