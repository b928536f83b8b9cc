package sigv4

import (
	"crypto/sha1" // clients may choose it for a checksum
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
)

// checksums are those that a trailer tells of the content before it. AWS: "Checking
// object integrity".
type checksums struct {
	all []checksum
}

type checksum struct {
	name string
	hash hash.Hash
	bad  bool
}

// expect has the checksum in the trailer field name computed. It is false if name is
// no such field.
func (c *checksums) expect(name string) bool {
	var h hash.Hash
	switch name {
	case "x-amz-checksum-crc32":
		h = crc32.NewIEEE()
	case "x-amz-checksum-crc32c":
		h = crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "x-amz-checksum-crc64nvme":
		const nvme = 0x9a6c9329ac4bc9b5 // its polynomial, the lowest power first
		h = crc64.New(crc64.MakeTable(nvme))
	case "x-amz-checksum-sha1":
		h = sha1.New()
	case "x-amz-checksum-sha256":
		h = sha256.New()
	default:
		return false
	}
	c.all = append(c.all, checksum{name: name, hash: h, bad: true})
	return true
}

func (c *checksums) write(content []byte) {
	for i := range c.all {
		c.all[i].hash.Write(content)
	}
}

// found compares what the trailer says. It is false if that isn't the checksum.
func (c *checksums) found(name, value string) bool {
	for i := range c.all {
		one := &c.all[i]
		if one.name != name {
			continue
		}
		one.bad = value != base64.StdEncoding.EncodeToString(one.hash.Sum(nil))
		return !one.bad
	}
	return true
}

// good reports whether all checksums that were expected came, and were right.
func (c *checksums) good() bool {
	for i := range c.all {
		if c.all[i].bad {
			return false
		}
	}
	return true
}
