package sqlite

import (
	"crypto/rand"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/apikeys-platform/apikeys"
)

// source is a database as its user named it.
type source struct {
	uri      string     // "file:…", without a query
	path     string     // of the file; "" in memory or under a VFS of the user's
	options  url.Values // the user's, and later ours
	memory   bool
	readOnly bool
}

// parse reads a data source name: a path, ":memory:", an SQLite URI ("file:…"), or
// a URL as SQLAlchemy has it ("sqlite:///rel.db", "sqlite:////abs.db", "sqlite://").
// Options follow a question mark in all of them.
func parse(dsn string) (source, error) {
	name, query, _ := strings.Cut(dsn, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		return source{}, invalid("has options that cannot be read: escape them as in a URL")
	}
	s := source{options: options}
	if rest, ok := strings.CutPrefix(name, "sqlite://"); ok {
		if name, err = pathOfURL(rest); err != nil {
			return source{}, err
		}
	} else if name == "" {
		return source{}, invalid(`is empty: give the name of a file, or ":memory:"`)
	}
	switch {
	case name == "", name == ":memory:", name == "file::memory:" && options.Get("cache") != "shared":
		s.inMemory()
	case strings.HasPrefix(name, "file:"):
		err = s.fromURI(name)
	default:
		s.path, s.uri = name, uriOf(name)
	}
	s.readOnly = options.Get("mode") == "ro" || options.Has("immutable")
	return s, err
}

// pathOfURL returns the path in what follows "sqlite://": nothing is a database in
// memory, and the path begins after the third slash.
func pathOfURL(rest string) (string, error) {
	if rest == "" || rest == ":memory:" {
		return ":memory:", nil
	}
	path, ok := strings.CutPrefix(rest, "/")
	if !ok {
		return "", invalid("names a host: write sqlite:///relative.db or sqlite:////absolute.db")
	}
	if path == "" {
		return ":memory:", nil
	}
	return path, nil
}

// inMemory makes a database of its own that all connections of this process with
// its name share (https://www.sqlite.org/src/file/src/memdb.c), as long as one of
// them is open. A plain ":memory:" is another database for each connection.
func (s *source) inMemory() {
	s.memory = true
	s.uri = "file:/apikeys-" + rand.Text()
	s.options.Set("vfs", "memdb")
}

func (s *source) fromURI(name string) error {
	s.uri = name
	if s.options.Get("mode") == "memory" || s.options.Get("vfs") == "memdb" || name == "file::memory:" {
		s.memory = true
		return nil
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(name, "file:"), "#")
	if authority, ok := strings.CutPrefix(path, "//"); ok {
		host, rest, _ := strings.Cut(authority, "/")
		if host != "" && host != "localhost" {
			return invalid("names a host: write file:relative.db or file:/absolute.db")
		}
		path = "/" + rest
	}
	if s.options.Has("vfs") {
		return nil // not a file of the operating system's, perhaps
	}
	path, err := url.PathUnescape(path)
	if err != nil || path == "" {
		return invalid("does not name a file: write file:relative.db or file:/absolute.db")
	}
	s.path = path
	return nil
}

// uriOf makes an SQLite URI of a path, in which no character has a meaning of its own.
func uriOf(path string) string {
	if runtime.GOOS == "windows" {
		path = filepath.ToSlash(path)
		if filepath.VolumeName(path) != "" {
			path = "/" + path
		}
	}
	escaped := (&url.URL{Path: path}).EscapedPath()
	if strings.HasPrefix(escaped, "//") {
		escaped = "//" + escaped // else the first name would be a host
	}
	return "file:" + escaped
}

// writer is the data source name of the connection that writes.
func (s source) writer() string {
	o := s.common()
	o.Set("_txlock", "immediate") // a transaction that reads first and writes later would be refused
	if !s.memory && !s.readOnly {
		setDefault(o, "journal_mode", "WAL", "_journal_mode", "_journal")
		setDefault(o, "synchronous", "FULL", "_synchronous", "_sync")
		setDefault(o, "journal_size_limit", "67108864")
	}
	return s.uri + "?" + o.Encode()
}

// reader is the data source name of the connections that read.
func (s source) reader() string {
	o := s.common()
	o.Set("_query_only", "1")
	return s.uri + "?" + o.Encode()
}

// common returns the user's options with ours. The wait for another process is
// short, because a context that ends does not end it: the store repeats it.
func (s source) common() url.Values {
	o := url.Values{}
	for name, values := range s.options {
		o[name] = append([]string(nil), values...)
	}
	// These would give us times and texts in another form than we stored them.
	o.Del("_texttotime")
	o.Del("_inttotime")
	o.Del("_foreign_keys")
	o.Del("_fk")
	o.Add("_pragma", "foreign_keys(1)")
	setDefault(o, "busy_timeout", "200", "_busy_timeout", "_timeout")
	setDefault(o, "temp_store", "MEMORY")
	return o
}

// setDefault sets a pragma unless the user did, in one of the ways there are.
func setDefault(o url.Values, pragma, value string, shorthands ...string) {
	for _, name := range shorthands {
		if o.Has(name) {
			return
		}
	}
	for _, v := range o["_pragma"] {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(v)), pragma) {
			return
		}
	}
	o.Add("_pragma", pragma+"("+value+")")
}

func invalid(reason string) error {
	return &apikeys.InvalidArgumentError{Field: "dsn", Reason: reason}
}
