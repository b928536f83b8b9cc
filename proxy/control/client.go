package control

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-gateway/postern/proxy/usage"
)

// Client asks a gateway that runs, at its admin address. What it is told of who asks
// it leaves to the gateway to find out.
type Client struct {
	http *http.Client
	base string
}

// ErrNobody is what Dial fails with when no gateway runs at the address.
var ErrNobody = errors.New("no gateway answers there")

// ErrConfiguration is what a change fails with when the configuration isn't right.
var ErrConfiguration = errors.New("the configuration is invalid")

// Refusal is an answer that a gateway gave instead of what was asked for.
type Refusal struct {
	Message string
	cause   error
}

// Error returns what the gateway said.
func (r *Refusal) Error() string { return r.Message }

// Unwrap returns which of this package's errors it is.
func (r *Refusal) Unwrap() error { return r.cause }

// Dial returns a client for an address as Server.Listen takes it, once somebody has
// answered there. secure is for TCP addresses with TLS, nil for cleartext. The caller
// closes it.
func Dial(ctx context.Context, address string, secure *tls.Config) (*Client, error) {
	if address == Off {
		return nil, ErrNobody
	}
	to := reachable(address)
	network, base := "tcp", "http://"+to
	if secure != nil {
		base = "https://" + to
	}
	if path, unix := strings.CutPrefix(address, "unix:"); unix {
		network, to, base = "unix", path, "http://localhost"
	}
	c := &Client{base: base, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: secure, TLSHandshakeTimeout: 5 * time.Second,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, to)
		},
	}}}
	err := c.ask(ctx, http.MethodGet, "/health/live", "", nil, nil)
	if err == nil {
		return c, nil
	}
	c.Close()
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
		return nil, ErrNobody
	}
	return nil, err
}

// reachable returns an address at which this machine reaches what listens at address.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "" || err == nil && ip.IsUnspecified() && ip.Is4():
		return net.JoinHostPort("127.0.0.1", port)
	case err == nil && ip.IsUnspecified():
		return net.JoinHostPort("::1", port)
	}
	return address
}

// tokenVariable is the environment variable with the token for an admin listener that
// asks for one.
const tokenVariable = "POSTERN_ADMIN_TOKEN"

// Close ends its connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ask sends one question and reads the answer into answer, unless that is nil.
func (c *Client) ask(ctx context.Context, method, path, contentType string, body io.Reader, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if token := os.Getenv(tokenVariable); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("the gateway: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return fmt.Errorf("the gateway: %w", err)
	}
	if resp.StatusCode >= 300 {
		var refusal struct{ Message string }
		if json.Unmarshal(text, &refusal) != nil || refusal.Message == "" {
			refusal.Message = resp.Status
		}
		if resp.StatusCode == http.StatusUnprocessableEntity {
			return &Refusal{refusal.Message, ErrConfiguration}
		}
		return errors.New(refusal.Message)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// send is ask with a JSON body.
func (c *Client) send(method, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.ask(context.Background(), method, path, "application/json", bytes.NewReader(text), answer)
}

// get is ask for something that is only looked at.
func (c *Client) get(path string, query url.Values, answer any) error {
	return c.ask(context.Background(), http.MethodGet, path+"?"+query.Encode(), "", nil, answer)
}

// Create is usage.Ledger's.
func (c *Client) Create(k usage.Key, _ string) (made usage.Key, err error) {
	return made, c.send(http.MethodPost, keysPath, newKey{k.Name, k.Description, &k.Enabled, k.Plans, k.Value}, &made)
}

// ImportCSV makes keys of a file.
func (c *Client) ImportCSV(file []byte, _ string) ([]usage.Key, error) {
	var made keyList
	err := c.ask(context.Background(), http.MethodPost, importPath, "text/csv", bytes.NewReader(file), &made)
	return made.Keys, err
}

// List is usage.Ledger's; n is at most 1000.
func (c *Client) List(after string, n int) ([]usage.Key, error) {
	var found keyList
	err := c.get(keysPath, url.Values{"after": {after}, "limit": {strconv.Itoa(n)}}, &found)
	return found.Keys, err
}

// Show is usage.Ledger's.
func (c *Client) Show(name string) (k usage.Key, err error) {
	return k, c.get(keysPath+"/"+url.PathEscape(name), nil, &k)
}

// Enable is usage.Ledger's.
func (c *Client) Enable(name string, enabled bool, _ string) (k usage.Key, err error) {
	return k, c.send(http.MethodPatch, keysPath+"/"+url.PathEscape(name), keyChange{&enabled}, &k)
}

// Delete is usage.Ledger's.
func (c *Client) Delete(name, _ string) (k usage.Key, err error) {
	return k, c.ask(context.Background(), http.MethodDelete, keysPath+"/"+url.PathEscape(name), "", nil, &k)
}

// Report is usage.Ledger's.
func (c *Client) Report(plan, _, from, to string) (usage.Report, error) {
	var found reportList
	if err := c.get(usagePath, url.Values{"plan": {plan}, "from": {from}, "to": {to}}, &found); err != nil || len(found.Reports) == 0 {
		return usage.Report{}, err
	}
	return found.Reports[0], nil
}

// KeyUse is usage.Ledger's.
func (c *Client) KeyUse(name, from, to string) ([]usage.Report, error) {
	var found reportList
	err := c.get(usagePath, url.Values{"key": {name}, "from": {from}, "to": {to}}, &found)
	return found.Reports, err
}

// Extend is usage.Ledger's.
func (c *Client) Extend(name, plan string, n int64, _ string) (id, of string, err error) {
	e := extension{name, plan, n}
	err = c.send(http.MethodPost, extendPath, e, &e)
	return e.Key, e.Plan, err
}
