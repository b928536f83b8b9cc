package zone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"github.com/postern-gateway/postern/proxy/config"
)

// cloudflare changes zones by Cloudflare's API, version 4.
type cloudflare struct {
	endpoint string
	token    string
	zoneID   string // "" for those that it says itself
	client   *http.Client
}

func newCloudflare(z config.Zones) *cloudflare {
	c := &cloudflare{endpoint: strings.TrimSuffix(z.Endpoint, "/"), token: z.Token, zoneID: z.ZoneID, client: newClient()}
	if c.endpoint == "" {
		c.endpoint = "https://api.cloudflare.com/client/v4"
	}
	return c
}

// cloudflareRecord is a record as the API has it. Names are absolute, and have no dot
// at their end.
type cloudflareRecord struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	TTL     int    `json:"ttl"`
}

// AppendRecords implements libdns.RecordAppender, for TXT records: one by one.
func (c *cloudflare) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	id, err := c.id(ctx, zone)
	if err != nil {
		return nil, err
	}
	var made []libdns.Record
	for _, r := range records {
		t, err := textOf(r)
		if err != nil {
			return made, err
		}
		// Cloudflare: "Create DNS Record"; 60 s is the least for all plans.
		ask := cloudflareRecord{Type: "TXT", Name: bare(t.Name, zone), Content: quoted(t.Text), TTL: max(60, int(t.TTL/time.Second))}
		if err := c.call(ctx, http.MethodPost, "/zones/"+id+"/dns_records", ask, nil); err != nil {
			return made, err
		}
		made = append(made, t)
	}
	return made, nil
}

// DeleteRecords implements libdns.RecordDeleter, for TXT records: one by one. One
// that isn't there any more is deleted.
func (c *cloudflare) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	id, err := c.id(ctx, zone)
	if err != nil {
		return nil, err
	}
	var gone []libdns.Record
	for _, r := range records {
		t, err := textOf(r)
		if err != nil {
			return gone, err
		}
		var found []cloudflareRecord
		query := url.Values{"type": {"TXT"}, "name": {bare(t.Name, zone)}, "per_page": {"100"}}
		if err := c.call(ctx, http.MethodGet, "/zones/"+id+"/dns_records?"+query.Encode(), nil, &found); err != nil {
			return gone, err
		}
		for _, f := range found {
			if f.Content != t.Text && f.Content != quoted(t.Text) {
				continue
			}
			if err := c.call(ctx, http.MethodDelete, "/zones/"+id+"/dns_records/"+url.PathEscape(f.ID), nil, nil); err != nil {
				return gone, err
			}
			gone = append(gone, t)
		}
	}
	return gone, nil
}

func bare(name, zone string) string { return strings.TrimSuffix(Absolute(name, zone), ".") }

func quoted(text string) string { return `"` + text + `"` }

// id returns the id of zone.
func (c *cloudflare) id(ctx context.Context, zone string) (string, error) {
	if c.zoneID != "" {
		return c.zoneID, nil
	}
	var found []struct {
		ID string `json:"id"`
	}
	if err := c.call(ctx, http.MethodGet, "/zones?"+url.Values{"name": {strings.TrimSuffix(zone, ".")}}.Encode(), nil, &found); err != nil {
		return "", err
	}
	if len(found) != 1 || found[0].ID == "" {
		return "", fmt.Errorf("cloudflare: the token may not see the zone %s, or there is none", zone)
	}
	return url.PathEscape(found[0].ID), nil
}

// call asks the API; the result goes into to.
func (c *cloudflare) call(ctx context.Context, method, path string, content, to any) error {
	var body []byte
	if content != nil {
		var err error
		if body, err = json.Marshal(content); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.client.Do(r)
	if err != nil {
		return fmt.Errorf("cloudflare: %w", err)
	}
	text, err := read(answer)
	if err != nil {
		return fmt.Errorf("cloudflare: %s %s: %w", method, r.URL.Path, err)
	}
	var said struct {
		Success bool            `json:"success"`
		Result  json.RawMessage `json:"result"`
		Errors  []struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return fmt.Errorf("cloudflare: %s %s: status %d: %s", method, r.URL.Path, answer.StatusCode, excerpt(text))
	}
	if !said.Success {
		failures := []error{fmt.Errorf("cloudflare: %s %s: status %d", method, r.URL.Path, answer.StatusCode)}
		for _, e := range said.Errors {
			failures = append(failures, fmt.Errorf("%d %s", e.Code, e.Message))
		}
		return errors.Join(failures...)
	}
	if to == nil {
		return nil
	}
	return json.Unmarshal(said.Result, to)
}

var _ Provider = (*cloudflare)(nil)
