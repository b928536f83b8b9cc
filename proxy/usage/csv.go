package usage

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// minImported is the shortest value in a file of API keys. AWS: "API Gateway API key
// file format".
const minImported = 30

// ReadCSV reads a file of API keys as AWS exports and imports it. The columns Name and
// Key have to be there, Description, Enabled and UsagePlanIds may, in any order; others
// are ignored. UsagePlanIds are names of plans, several in quotation marks with commas.
// All that is wrong is reported, with its line; nothing quotes a value.
func ReadCSV(from io.Reader) ([]Key, error) {
	r := csv.NewReader(from)
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: the file is empty", ErrInvalid)
	}
	if err != nil {
		return nil, plain(err)
	}
	columns, err := columnsOf(head)
	if err != nil {
		return nil, err
	}
	var keys []Key
	var wrong []error
	lines := map[string]int{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, plain(err)
		}
		line, _ := r.FieldPos(0)
		k, err := columns.key(row, len(head))
		if err == nil && lines[k.Value] != 0 {
			err = fmt.Errorf("the same key as in line %d", lines[k.Value])
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w: %w", line, ErrInvalid, err))
			continue
		}
		lines[k.Value] = line
		keys = append(keys, k)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the file has no keys", ErrInvalid)
	}
	return keys, nil
}

// plain is an error of the syntax with its place.
func plain(err error) error {
	var at *csv.ParseError
	if errors.As(err, &at) {
		return fmt.Errorf("line %d, column %d: %w: %w", at.Line, at.Column, ErrInvalid, at.Err)
	}
	return err
}

// columns says where each column is; -1 for nowhere.
type columns struct{ name, value, description, enabled, plans int }

func columnsOf(head []string) (c columns, err error) {
	names := make([]string, len(head))
	for i, name := range head {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if known := []string{"name", "key", "description", "enabled", "usageplanids"}; slices.Contains(known, names[i]) && slices.Contains(names[:i], names[i]) {
			return c, fmt.Errorf("line 1: %w: two columns %q", ErrInvalid, head[i])
		}
	}
	c = columns{slices.Index(names, "name"), slices.Index(names, "key"), slices.Index(names, "description"), slices.Index(names, "enabled"), slices.Index(names, "usageplanids")}
	if c.name < 0 || c.value < 0 {
		return c, fmt.Errorf("line 1: %w: the columns Name and Key have to be there", ErrInvalid)
	}
	return c, nil
}

// key reads one row.
func (c columns) key(row []string, width int) (Key, error) {
	if len(row) != width {
		return Key{}, fmt.Errorf("%d fields, but %d columns", len(row), width)
	}
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	k := Key{Name: field(c.name), Value: field(c.value), Description: field(c.description), Plans: []string{}}
	switch strings.ToLower(field(c.enabled)) {
	case "", "true":
		k.Enabled = true
	case "false":
	default:
		return Key{}, errors.New("Enabled is true or false")
	}
	for plan := range strings.SplitSeq(field(c.plans), ",") {
		if plan = strings.TrimSpace(plan); plan != "" {
			k.Plans = append(k.Plans, plan)
		}
	}
	if k.Name == "" {
		return Key{}, errors.New("Name is empty")
	}
	if len(k.Value) < minImported || len(k.Value) > MaxValue {
		return Key{}, fmt.Errorf("Key has to have %d to %d characters", minImported, MaxValue)
	}
	return k, nil
}
