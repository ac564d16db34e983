package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

const (
	// prefix begins every variable that is Bellhop's.
	prefix = "BELLHOP_"
	// platformPort is how some hosts tell a web app its port.
	platformPort = "HTTP_PLATFORM_PORT"
	// secretLimit is how many bytes of a secret's file are read.
	secretLimit = 64 << 10
)

// sources is kong's view of the environment, and the notes of one parse.
type sources struct {
	environ map[string]string

	used   map[string]string // flag → the variable its value came from
	faults Faults
	help   string // what --help printed
}

// newSources drops what is empty: that counts as not set.
func newSources(environ []string) *sources {
	s := &sources{environ: map[string]string{}, used: map[string]string{}}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			s.environ[name] = value
		}
	}
	return s
}

// Validate is part of kong.Resolver. It has nothing to check: unknown variables
// are only warned about.
func (s *sources) Validate(*kong.Application) error { return nil }

// Resolve is part of kong.Resolver: it gives the value of a flag that is not
// on the command line, or nil for the default.
func (s *sources) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	name := flag.Tag.Get("var")
	if name == "" {
		return nil, nil
	}
	value, source := s.lookup(flag, name)
	if value == "" {
		return nil, nil
	}
	s.used[flag.Name] = source
	if flag.IsBool() {
		yes, err := strconv.ParseBool(value)
		if err != nil {
			s.faults.add(flag.Name, fmt.Sprintf("%q is neither true nor false", value), "write true or false")
			return nil, nil
		}
		return yes, nil
	}
	return value, nil
}

// lookup finds the value of a variable and where it came from.
func (s *sources) lookup(flag *kong.Flag, name string) (value, source string) {
	if flag.Tag.Has("secret") && s.environ[name+"_FILE"] != "" {
		return s.secret(flag, name), name + "_FILE"
	}
	if value := s.environ[name]; value != "" {
		return value, name
	}
	if port := s.environ[platformPort]; port != "" && name == prefix+"LISTEN" {
		return defaultHost + ":" + port, platformPort
	}
	return "", ""
}

// secret reads a secret's file, or notes a fault and returns "".
func (s *sources) secret(flag *kong.Flag, name string) string {
	s.used[flag.Name] = name + "_FILE"
	if s.environ[name] != "" {
		s.faults.add(flag.Name, fmt.Sprintf("both %s and %s_FILE are set", name, name), "keep one of them")
		return ""
	}
	value, err := readSecret(s.environ[name+"_FILE"])
	if err != nil {
		s.faults.add(flag.Name, err.Error(), "name a file that holds only the value and that not everybody can read (chmod 600)")
	}
	return value
}

// readSecret returns a file's content without the line end that editors add.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	switch {
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Mode().Perm()&0o004 != 0:
		return "", fmt.Errorf("everybody on this machine can read %s", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, secretLimit+1))
	if err != nil {
		return "", err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case len(content) > secretLimit:
		return "", fmt.Errorf("%s is larger than 64 KiB", path)
	case value == "":
		return "", errors.New(path + " is empty")
	}
	return value, nil
}

// unknown warns of variables that look like Bellhop's and are not.
func (s *sources) unknown(app *kong.Application) []string {
	known := variables(app)
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(s.environ)) {
		if !strings.HasPrefix(name, prefix) || slices.Contains(known, name) {
			continue
		}
		warning := "the environment variable " + name + " is not a setting of Bellhop and is ignored"
		if near := nearest(name, known); near != "" {
			warning += "; did you mean " + near + "?"
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// variables lists every variable that sets something in some command.
func variables(app *kong.Application) []string {
	names := map[string]bool{}
	_ = kong.Visit(app.Node, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && flag.Tag.Has("var") {
			names[flag.Tag.Get("var")] = true
			if flag.Tag.Has("secret") {
				names[flag.Tag.Get("var")+"_FILE"] = true
			}
		}
		return next(nil)
	})
	return slices.Sorted(maps.Keys(names))
}

// nearest returns the candidate that a typing error away, "" if none is.
func nearest(name string, candidates []string) string {
	best, at := "", 4 // three letters wrong are still a typing error
	for _, c := range candidates {
		if d := distance(name, c); d < at {
			best, at = c, d
		}
	}
	return best
}

// distance is how many letters must be added, dropped or changed (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
