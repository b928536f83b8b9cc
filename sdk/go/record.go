//go:build wasip1

package postern

import (
	"strconv"
	"time"

	"github.com/postern-gateway/postern/sdk/abi"
)

// Record is a TXT record that is to be put into a DNS zone, or removed. Other records
// at the same name stay.
type Record struct {
	Remove bool          // else it is to be put
	Zone   string        // without a dot at its end
	Name   string        // with that of the zone, without a dot at its end
	Text   string        // the record's value
	TTL    time.Duration // how long others may keep it
}

func newRecord(r *Request) *Record {
	seconds, _ := strconv.Atoi(r.field(abi.FieldRecordTTL)) // the gateway writes digits
	return &Record{
		Remove: r.field(abi.FieldRecordAction) == abi.RecordCleanup, Zone: r.field(abi.FieldRecordZone), Name: r.field(abi.FieldRecordName),
		Text: r.field(abi.FieldRecordValue), TTL: time.Duration(seconds) * time.Second,
	}
}
