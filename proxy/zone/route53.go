package zone

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/libdns/libdns"

	"github.com/postern-gateway/postern/proxy/config"
)

// route53 changes zones by Amazon Route 53's API of 2013-04-01.
//
// All values of one name and type are one record set there, which is changed as a
// whole. So a change deletes the set as it was read and makes another one, in one
// batch: that fails when somebody else was faster, and is tried again.
type route53 struct {
	endpoint    string
	credentials aws.Credentials
	zoneID      string // "" for those that it says itself
	signer      *v4.Signer
	client      *http.Client

	mu sync.Mutex // one change at a time
}

// Amazon Route 53 API Reference: "Signing Route 53 API requests", "XML namespaces".
const (
	route53Space   = "https://route53.amazonaws.com/doc/2013-04-01/"
	route53Region  = "us-east-1"
	route53Service = "route53"
	route53Tries   = 5
)

func newRoute53(z config.Zones) *route53 {
	r := &route53{
		endpoint: strings.TrimSuffix(z.Endpoint, "/"), zoneID: z.ZoneID, signer: v4.NewSigner(), client: newClient(),
		credentials: aws.Credentials{AccessKeyID: z.AccessKeyID, SecretAccessKey: z.SecretAccessKey, SessionToken: z.SessionToken},
	}
	if r.endpoint == "" {
		r.endpoint = "https://route53.amazonaws.com"
	}
	return r
}

// recordSet is all values of one name and type.
type recordSet struct {
	Name   string   `xml:"Name"`
	Type   string   `xml:"Type"`
	TTL    int      `xml:"TTL"`
	Values []string `xml:"ResourceRecords>ResourceRecord>Value"`
}

type route53Change struct {
	Action string    `xml:"Action"`
	Set    recordSet `xml:"ResourceRecordSet"`
}

type route53Batch struct {
	XMLName xml.Name        `xml:"ChangeResourceRecordSetsRequest"`
	Space   string          `xml:"xmlns,attr"`
	Changes []route53Change `xml:"ChangeBatch>Changes>Change"`
}

// AppendRecords implements libdns.RecordAppender, for TXT records: one by one. It
// returns once all of Route 53's servers have them.
func (r *route53) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return r.change(ctx, zone, records, func(values []string, value string) []string {
		if slices.Contains(values, value) {
			return values
		}
		return append(slices.Clone(values), value)
	})
}

// DeleteRecords implements libdns.RecordDeleter, for TXT records: one by one.
func (r *route53) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return r.change(ctx, zone, records, func(values []string, value string) []string {
		return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == value })
	})
}

func (r *route53) change(ctx context.Context, zone string, records []libdns.Record, edit func(values []string, value string) []string) ([]libdns.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, err := r.id(ctx, zone)
	if err != nil {
		return nil, err
	}
	var changed []libdns.Record
	for _, record := range records {
		t, err := textOf(record)
		if err != nil {
			return changed, err
		}
		for try := 1; ; try++ {
			err := r.edit(ctx, id, Absolute(t.Name, zone), t, edit)
			var refused *route53Error
			if errors.As(err, &refused) && refused.Code == "InvalidChangeBatch" && try < route53Tries {
				continue // somebody else changed the set
			}
			if err != nil {
				return changed, err
			}
			break
		}
		changed = append(changed, t)
	}
	return changed, nil
}

// edit changes the set of TXT records called name.
func (r *route53) edit(ctx context.Context, id, name string, t libdns.TXT, edit func(values []string, value string) []string) error {
	var found struct {
		Sets []recordSet `xml:"ResourceRecordSets>ResourceRecordSet"`
	}
	query := url.Values{"name": {name}, "type": {"TXT"}, "maxitems": {"1"}}
	if err := r.call(ctx, http.MethodGet, "/2013-04-01/hostedzone/"+id+"/rrset?"+query.Encode(), nil, &found); err != nil {
		return err
	}
	batch := route53Batch{Space: route53Space}
	set := recordSet{Name: name, Type: "TXT", TTL: max(1, int(t.TTL/time.Second))}
	if len(found.Sets) > 0 && found.Sets[0].Name == name && found.Sets[0].Type == "TXT" { // else it is the next one
		batch.Changes = append(batch.Changes, route53Change{"DELETE", found.Sets[0]})
		set.Values = found.Sets[0].Values
	}
	before := set.Values
	if set.Values = edit(before, quoted(t.Text)); slices.Equal(set.Values, before) {
		return nil
	}
	if len(set.Values) > 0 {
		batch.Changes = append(batch.Changes, route53Change{"CREATE", set})
	}
	var done route53Pending
	if err := r.call(ctx, http.MethodPost, "/2013-04-01/hostedzone/"+id+"/rrset/", batch, &done); err != nil {
		return err
	}
	return r.settled(ctx, done)
}

// route53Pending is what becomes of a change.
type route53Pending struct {
	ID     string `xml:"ChangeInfo>Id"`
	Status string `xml:"ChangeInfo>Status"`
}

// Pauses between looks at a change: a minute is usual, and five requests a second are
// all that an account has. "Quotas", "Route 53 API requests".
const (
	firstLook = 500 * time.Millisecond
	lastLook  = 4 * time.Second
)

// settled waits until all servers have a change.
func (r *route53) settled(ctx context.Context, c route53Pending) error {
	id := url.PathEscape(strings.TrimPrefix(c.ID, "/change/"))
	for pause := firstLook; c.Status != "INSYNC"; pause = min(2*pause, lastLook) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("route53: change %s is %s: %w", id, c.Status, ctx.Err())
		case <-time.After(pause):
		}
		if err := r.call(ctx, http.MethodGet, "/2013-04-01/change/"+id, nil, &c); err != nil {
			return err
		}
	}
	return nil
}

// id returns the id of zone: the public one, if there is a private one of that name.
func (r *route53) id(ctx context.Context, zone string) (string, error) {
	if r.zoneID != "" {
		return r.zoneID, nil
	}
	var found struct {
		Zones []struct {
			ID      string `xml:"Id"`
			Name    string `xml:"Name"`
			Private bool   `xml:"Config>PrivateZone"`
		} `xml:"HostedZones>HostedZone"`
	}
	if err := r.call(ctx, http.MethodGet, "/2013-04-01/hostedzonesbyname?"+url.Values{"dnsname": {zone}}.Encode(), nil, &found); err != nil {
		return "", err
	}
	for _, z := range found.Zones {
		if z.Name == zone && !z.Private {
			return url.PathEscape(strings.TrimPrefix(z.ID, "/hostedzone/")), nil
		}
	}
	return "", fmt.Errorf("route53: there is no public zone %s, or the key may not see it", zone)
}

// route53Error is why Route 53 didn't. A batch that isn't good is an answer of its
// own: "ChangeResourceRecordSets", "Errors".
type route53Error struct {
	XMLName  xml.Name
	Status   int      `xml:"-"`
	Code     string   `xml:"Error>Code"`
	Message  string   `xml:"Error>Message"`
	Messages []string `xml:"Messages>Message"`
}

func (e *route53Error) Error() string {
	return fmt.Sprintf("route53: status %d: %s: %s", e.Status, e.Code, e.Message)
}

// call asks the API; the answer goes into to.
func (r *route53) call(ctx context.Context, method, path string, content, to any) error {
	var body []byte
	if content != nil {
		text, err := xml.Marshal(content)
		if err != nil {
			return err
		}
		body = append([]byte(xml.Header), text...)
	}
	ask, err := http.NewRequestWithContext(ctx, method, r.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if content != nil {
		ask.Header.Set("Content-Type", "text/xml")
	}
	sum := sha256.Sum256(body)
	if err := r.signer.SignHTTP(ctx, r.credentials, ask, hex.EncodeToString(sum[:]), route53Service, route53Region, time.Now()); err != nil {
		return fmt.Errorf("route53: sign: %w", err)
	}
	answer, err := r.client.Do(ask)
	if err != nil {
		return fmt.Errorf("route53: %w", err)
	}
	text, err := read(answer)
	if err != nil {
		return fmt.Errorf("route53: %s: %w", ask.URL.Path, err)
	}
	if answer.StatusCode/100 != 2 {
		refused := &route53Error{Status: answer.StatusCode}
		err := xml.Unmarshal(text, refused)
		switch {
		case err == nil && refused.XMLName.Local == "InvalidChangeBatch":
			refused.Code, refused.Message = refused.XMLName.Local, strings.Join(refused.Messages, "; ")
		case err != nil || refused.Code == "":
			refused.Message = excerpt(text)
		}
		return refused
	}
	if err := xml.Unmarshal(text, to); err != nil {
		return fmt.Errorf("route53: %s: %w", ask.URL.Path, err)
	}
	return nil
}

var _ Provider = (*route53)(nil)
