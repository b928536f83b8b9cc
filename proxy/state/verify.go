package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// damage is what is wrong with a file.
type damage struct{ text string }

func (d *damage) Error() string { return d.text }

func wrong(format string, args ...any) error { return &damage{fmt.Sprintf(format, args...)} }

// The layout of a database's file. bbolt: internal/common, page.go and meta.go.
const (
	pageHead    = 16
	branchPage  = 0x01
	leafPage    = 0x02
	elementSize = 16
	bucketFlag  = 0x01
	bucketHead  = 16
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSum     = 56 // bytes that the checksum is of, and where it stands
)

// verify reads the whole file and says what is wrong with it.
func verify(f io.ReaderAt, size int64) error {
	v := &verifier{file: f, size: size}
	if err := v.metas(); err != nil {
		return err
	}
	if int64(v.pages)*v.pageSize > size {
		return wrong("it was cut off: %d bytes of at least %d are there", size, int64(v.pages)*v.pageSize)
	}
	v.seen = make([]bool, v.pages)
	return v.page(v.root, "")
}

// verifier is the state of one verify.
type verifier struct {
	file        io.ReaderAt
	size        int64
	pageSize    int64
	pages, root uint64
	seen        []bool
	txid        uint64
}

// metas takes the newer one of the two first pages, of those that are whole.
func (v *verifier) metas() error {
	for _, pageSize := range []int64{int64(os.Getpagesize()), 4096, 16384, 65536, 1024} {
		for at := int64(0); at <= pageSize; at += pageSize {
			m := make([]byte, metaSum+8)
			if _, err := v.file.ReadAt(m, at+pageHead); err != nil {
				continue
			}
			le := binary.LittleEndian
			sum := fnv.New64a()
			_, _ = sum.Write(m[:metaSum]) // a hash takes everything
			if le.Uint32(m) != metaMagic || le.Uint32(m[4:]) != metaVersion || int64(le.Uint32(m[8:])) != pageSize || le.Uint64(m[metaSum:]) != sum.Sum64() {
				continue
			}
			if txid := le.Uint64(m[48:]); v.pageSize == 0 || txid > v.txid {
				v.pageSize, v.txid, v.root, v.pages = pageSize, txid, le.Uint64(m[16:]), le.Uint64(m[40:])
			}
		}
		if v.pageSize != 0 {
			return nil
		}
	}
	return wrong("the checksums of both headers are wrong, or it never was a state file")
}

// page checks the page called id, and all below it. table is the one whose entries are
// there, "" where the tables themselves are.
func (v *verifier) page(id uint64, table string) error {
	if id < 2 || id >= v.pages || v.seen[id] {
		return wrong("page %d is out of place", id)
	}
	v.seen[id] = true
	head := make([]byte, pageHead)
	at := int64(id) * v.pageSize
	if _, err := v.file.ReadAt(head, at); err != nil {
		return err
	}
	le := binary.LittleEndian
	overflow := uint64(le.Uint32(head[12:]))
	if le.Uint64(head) != id || overflow >= v.pages-id {
		return wrong("page %d has a wrong head", id)
	}
	for next := id + 1; next <= id+overflow; next++ {
		if v.seen[next] {
			return wrong("page %d is out of place", next)
		}
		v.seen[next] = true
	}
	page := make([]byte, int64(overflow+1)*v.pageSize)
	if _, err := v.file.ReadAt(page, at); err != nil {
		return err
	}
	return v.elements(id, page, table)
}

// elements checks a page's elements. id names it; a small table's page stands within
// another one's.
func (v *verifier) elements(id uint64, page []byte, table string) error {
	le := binary.LittleEndian
	if len(page) < pageHead {
		return wrong("page %d is too short", id)
	}
	flags, count := le.Uint16(page[8:]), int(le.Uint16(page[10:]))
	if pageHead+count*elementSize > len(page) {
		return wrong("page %d has more elements than room", id)
	}
	var before []byte
	next := uint64(pageHead + count*elementSize) // pages are written without gaps
	for i := range count {
		at := pageHead + i*elementSize
		element := page[at : at+elementSize]
		var pos, keySize, valueSize uint64
		switch flags {
		case branchPage:
			pos, keySize = uint64(le.Uint32(element)), uint64(le.Uint32(element[4:]))
		case leafPage:
			pos, keySize, valueSize = uint64(le.Uint32(element[4:])), uint64(le.Uint32(element[8:])), uint64(le.Uint32(element[12:]))
		default:
			return wrong("page %d is of a wrong kind", id)
		}
		from := uint64(at) + pos
		if from != next || from+keySize+valueSize > uint64(len(page)) {
			return wrong("an element of page %d isn't where it should be", id)
		}
		next += keySize + valueSize
		key := page[from : from+keySize]
		if i > 0 && bytes.Compare(before, key) >= 0 {
			return wrong("the keys of page %d are out of order", id)
		}
		before = key
		if err := v.element(id, flags, element, key, page[from+keySize:from+keySize+valueSize], table); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) element(id uint64, flags uint16, element, key, value []byte, table string) error {
	le := binary.LittleEndian
	switch {
	case flags == branchPage:
		return v.page(le.Uint64(element[8:]), table)
	case le.Uint32(element) == 0 && table != "":
		_, err := decode(table, key, value)
		return err
	case le.Uint32(element) != bucketFlag:
		return wrong("an element of page %d is of a wrong kind", id)
	case table != "" || len(key) == 0 || len(value) < bucketHead:
		return wrong("a table of page %d is out of place", id)
	case le.Uint64(value) == 0:
		return v.elements(id, value[bucketHead:], string(key))
	}
	return v.page(le.Uint64(value), string(key))
}
