package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the findings into the golden files")

// Each archive holds configurations NAME.toml and what Load finds in them,
// NAME.want. Lines "env NAME=value" of its comment set the environment, lines
// "symlink NAME TARGET" and "mkdir NAME" prepare the folder.
func TestFindings(t *testing.T) {
	archives, err := filepath.Glob("testdata/findings/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range archives {
		full, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { golden(t, full) })
	}
}

func golden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(dir)
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".want") {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(archive.Comment)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "env":
			name, value, _ := strings.Cut(words[1], "=")
			t.Setenv(name, value)
		case "symlink":
			if err := os.Symlink(words[2], words[1]); err != nil {
				t.Fatal(err)
			}
		case "mkdir":
			if err := os.MkdirAll(words[1], 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, f := range archive.Files {
		name, is := strings.CutSuffix(f.Name, ".want")
		if !is {
			continue
		}
		_, fs := Load(name + ".toml")
		placed(t, fs)
		got := strings.ReplaceAll(fs.Text(), dir, "$DIR")
		if *update {
			archive.Files[i].Data = []byte(got)
		} else if got != string(f.Data) {
			t.Errorf("%s: got\n%swant\n%s", f.Name, got, f.Data)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// sameButStars reports whether shown is line, but for stars in the place of secrets.
func sameButStars(shown, line string) bool {
	a, b := []rune(shown), []rune(line)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && a[i] != '*' {
			return false
		}
	}
	return true
}

// placed checks that each finding's place is in its file.
func placed(t *testing.T, fs Findings) {
	t.Helper()
	for _, f := range fs {
		if f.Line == 0 {
			if text, err := os.ReadFile(f.File); err == nil {
				t.Errorf("%+v: no place, but the file has %d bytes", f, len(text))
			}
			continue
		}
		if f.Line < 1 || f.Column < 1 || f.Width < 1 || f.Text == "" || f.Severity == "" {
			t.Errorf("not a place: %+v", f)
		}
		line := []rune(f.Source)
		if f.Column > len(line)+1 || f.Column-1+f.Width > max(len(line), f.Column) {
			t.Errorf("place outside the line: %+v", f)
		}
		if text, err := os.ReadFile(f.File); err == nil {
			lines := strings.Split(withoutMark(string(text)), "\n")
			if f.Line > len(lines) || !sameButStars(f.Source, printable(strings.TrimSuffix(lines[f.Line-1], "\r"))) {
				t.Errorf("line %d isn't the source line: %+v", f.Line, f)
			}
		}
	}
	var back Findings
	if err := json.Unmarshal(fs.JSON(), &back); err != nil || len(back) != len(fs) {
		t.Errorf("JSON: %v, %d findings instead of %d", err, len(back), len(fs))
	}
	if !bytes.HasSuffix(fs.JSON(), []byte("]\n")) {
		t.Errorf("JSON isn't an array: %s", fs.JSON())
	}
}
