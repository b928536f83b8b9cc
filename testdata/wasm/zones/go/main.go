//go:build wasip1

// Command zones puts records into the DNS server of pebble-challtestsrv, by its
// management interface, and lets names that begin with "a" have certificates.
package main

import (
	"encoding/json"
	"fmt"
	"strings"

	postern "github.com/postern-gateway/postern/sdk/go"
)

func init() {
	z := &zones{}
	postern.Configure(z.configure)
	postern.ChangeZones(z.change)
	postern.Certify(func(r *postern.Request) postern.Decision {
		if strings.HasPrefix(r.DomainName(), "a") {
			return postern.Allow
		}
		return postern.Deny
	})
}

type zones struct{ URL string }

func (z *zones) configure(config []byte) error { return json.Unmarshal(config, z) }

func (z *zones) change(r *postern.Record) error {
	path, content := "/set-txt", map[string]string{"host": r.Name + ".", "value": r.Text}
	if r.Remove {
		path, content = "/clear-txt", map[string]string{"host": r.Name + "."}
	}
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	call := postern.Call{Method: "POST", URL: z.URL + path, Body: body}
	reply, err := call.Send()
	if err != nil {
		return err
	}
	if status, err := reply.Status(); err != nil || status != 200 {
		return fmt.Errorf("%s: status %d, %v", path, status, err)
	}
	return nil
}

func main() {} // the gateway calls what init registered; this never runs
