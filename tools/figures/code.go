package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// sized is a file or a function with its number of lines.
type sized struct {
	name  string
	lines int
}

func (s sized) String() string { return fmt.Sprintf("%s (%d)", s.name, s.lines) }

// code is what was read of all Go files.
type code struct {
	fset      *token.FileSet
	files     []sized // the longest first
	functions []sized // the longest first

	exported       int
	undocumented   []string
	operations     int
	withoutExample []string

	packages map[string][]*ast.File // of the library, by directory
	tests    map[string]bool        // the names of all tests
	examples map[string]bool        // "dir Name"
	wanted   []operation
}

// operation is an exported function or method that should have an example.
type operation struct{ dir, name, at string }

// readCode reads the Go files below root, nested modules included.
func readCode(root string) (*code, error) {
	c := &code{fset: token.NewFileSet(), packages: map[string][]*ast.File{}, tests: map[string]bool{}, examples: map[string]bool{}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skipDir(root, path, entry.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return c.readFile(path, filepath.ToSlash(relative))
	})
	for _, want := range c.wanted {
		if c.operations++; !c.examples[want.dir+" "+want.name] {
			c.withoutExample = append(c.withoutExample, want.at)
		}
	}
	byLength := func(a, b sized) int { return cmp.Compare(b.lines, a.lines) }
	slices.SortStableFunc(c.files, byLength)
	slices.SortStableFunc(c.functions, byLength)
	return c, err
}

// skipDir leaves out what is no code of the project.
func skipDir(root, path, name string) error {
	if path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "testdata") || name == "bin") {
		return filepath.SkipDir
	}
	return nil
}

func (c *code) readFile(path, name string) error {
	file, err := parser.ParseFile(c.fset, path, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	dir := filepath.ToSlash(filepath.Dir(name))
	switch {
	case strings.HasSuffix(name, "_test.go"):
		c.noteTests(file)
		c.noteExamples(dir, file)
		return nil
	case strings.HasPrefix(name, "examples/"), strings.HasPrefix(name, "tools/"), ast.IsGenerated(file):
		return nil
	}
	c.packages[dir] = append(c.packages[dir], file)
	c.files = append(c.files, sized{name, c.fset.Position(file.FileEnd).Line})
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			c.noteFunction(dir, name, d)
		case *ast.GenDecl:
			c.noteNames(name, d)
		}
	}
	return nil
}

func (c *code) noteTests(file *ast.File) {
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
			c.tests[f.Name.Name] = true
		}
	}
}

// noteExamples notes the examples that go test runs: those that say what they print.
func (c *code) noteExamples(dir string, file *ast.File) {
	for _, example := range doc.Examples(file) {
		if example.Output == "" {
			continue
		}
		c.examples[dir+" "+example.Name] = true
		if i := strings.LastIndex(example.Name, "_"); i > 0 { // Name_suffix
			c.examples[dir+" "+example.Name[:i]] = true
		}
	}
}

func (c *code) noteFunction(dir, name string, f *ast.FuncDecl) {
	from, to := c.fset.Position(f.Pos()), c.fset.Position(f.End())
	at := fmt.Sprintf("%s:%d %s", name, from.Line, f.Name.Name)
	c.functions = append(c.functions, sized{at, to.Line - from.Line + 1})
	receiver := receiverName(f)
	if !f.Name.IsExported() || receiver != "" && !ast.IsExported(receiver) {
		return
	}
	if !inInternal(name) {
		c.exported++
		if f.Doc == nil {
			c.undocumented = append(c.undocumented, at)
		}
	}
	if isOperation(dir, receiver) {
		c.wanted = append(c.wanted, operation{dir, strings.TrimPrefix(receiver+"_"+f.Name.Name, "_"), at})
	}
}

// isOperation tells of what users call to get something done: the methods of the clients and middlewares, and the functions
// beside them.
func isOperation(dir, receiver string) bool {
	switch dir {
	case ".", "httpmw", "httpapi", "apikeystest", "store", "store/sqlite", "store/postgres", "store/mysql":
	default:
		return false
	}
	return receiver == "" || receiver == "Client" || receiver == "Middleware"
}

func receiverName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if ident, ok := t.(*ast.Ident); ok {
		return ident.Name
	}
	return ""
}

// noteNames counts exported types, variables and constants. A comment on a group or at the end of the line counts.
func (c *code) noteNames(file string, d *ast.GenDecl) {
	if inInternal(file) || d.Tok == token.IMPORT {
		return
	}
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			c.noteName(file, s.Name, d.Doc != nil || s.Doc != nil || s.Comment != nil)
		case *ast.ValueSpec:
			for _, name := range s.Names {
				c.noteName(file, name, d.Doc != nil || s.Doc != nil || s.Comment != nil)
			}
		}
	}
}

func (c *code) noteName(file string, name *ast.Ident, documented bool) {
	if !name.IsExported() {
		return
	}
	c.exported++
	if !documented {
		line := c.fset.Position(name.Pos()).Line
		c.undocumented = append(c.undocumented, fmt.Sprintf("%s:%d %s", file, line, name.Name))
	}
}

func inInternal(name string) bool { return strings.Contains("/"+name, "/internal/") }

func (c *code) lines() (n int) {
	for _, f := range c.files {
		n += f.lines
	}
	return n
}

func (c *code) functionLengths() (p50, p90 int, longest sized) {
	n := len(c.functions)
	return c.functions[n/2].lines, c.functions[n/10].lines, c.functions[0]
}

func (c *code) tooLong() (names []string) {
	for _, f := range c.files {
		if f.lines > maxFileLines {
			names = append(names, f.String())
		}
	}
	return names
}
