// Package messages finds the texts of errors in Go code, so that tests can see to it that none is left out.
package messages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var verb = regexp.MustCompile(`%[+#]?[a-zA-Z]`)

// Unsaid returns the texts that the Go files in dir give to what makes errors (errors.New, fmt.Errorf, and functions of
// these names; constants and values of these types), as far as none of the said texts holds them. A verb stands for
// any text. Tests are left out, and texts of one word: these only wrap.
func Unsaid(dir string, said []string, makers ...string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := finder{makers: map[string]bool{"New": true, "Errorf": true}}
	for _, name := range makers {
		f.makers[name] = true
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, f.visit)
	}
	return f.missing(strings.Join(said, "\n")), nil
}

type finder struct {
	makers map[string]bool
	texts  []string
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if f.makers[nameOf(n.Fun)] {
			f.add(n.Args)
		}
	case *ast.CompositeLit:
		if f.makers[nameOf(n.Type)] {
			f.add(n.Elts)
		}
	case *ast.ValueSpec:
		if f.makers[nameOf(n.Type)] {
			f.add(n.Values)
		}
	}
	return true
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func (f *finder) add(args []ast.Expr) {
	for _, arg := range args {
		if field, ok := arg.(*ast.KeyValueExpr); ok {
			arg = field.Value
		}
		if text := constant(arg); strings.Contains(strings.TrimSpace(verb.ReplaceAllString(text, "")), " ") {
			f.texts = append(f.texts, text)
		}
	}
}

// constant is the text of a literal, or of literals that are added; what is no literal stands as a verb.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		if left, right := constant(e.X), constant(e.Y); left+right != "" {
			return orVerb(left) + orVerb(right)
		}
	}
	return ""
}

func orVerb(text string) string {
	if text == "" {
		return "%s"
	}
	return text
}

func (f *finder) missing(said string) (missing []string) {
	for _, text := range f.texts {
		parts := verb.Split(text, -1)
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		if !regexp.MustCompile(strings.Join(parts, ".*")).MatchString(said) {
			missing = append(missing, text)
		}
	}
	return missing
}
