package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"maps"
	"path"
	"regexp"
	"slices"
)

// modulePath is that of the library: what its comments name of it has to be there.
const modulePath = "github.com/apikeys-platform/apikeys"

// bracketed is text that means to be a link to a Go name.
var bracketed = regexp.MustCompile(`\[\*?(?:[a-z]\w*\.)?[A-Z]\w*(?:\.\w+)?\]`)

// docLinks counts the links in the comments of all packages to names of this module, and returns those that lead nowhere.
func (c *code) docLinks() (broken []string, links int) {
	packages := map[string]*doc.Package{}
	for dir, files := range c.packages {
		p, err := doc.NewFromFiles(c.fset, files, path.Join(modulePath, dir), doc.PreserveAST)
		if err == nil {
			packages[p.ImportPath] = p
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(c.packages)) {
		p := packages[path.Join(modulePath, dir)]
		for _, file := range c.packages[dir] {
			for _, group := range file.Comments {
				for _, target := range c.linksOf(p, group, packages) {
					if links++; target != "" {
						broken = append(broken, fmt.Sprintf("%s: %s", c.fset.Position(group.Pos()), target))
					}
				}
			}
		}
	}
	return broken, links
}

// linksOf returns a text for each link in a comment: empty if it leads somewhere.
func (c *code) linksOf(p *doc.Package, group *ast.CommentGroup, packages map[string]*doc.Package) (targets []string) {
	visit(p.Parser().Parse(group.Text()).Content, func(t comment.Text) {
		switch t := t.(type) {
		case comment.Plain:
			targets = append(targets, bracketed.FindAllString(string(t), -1)...)
		case *comment.DocLink:
			target := ""
			if other := packages[t.ImportPath]; other != nil && !has(other, t.Recv, t.Name) {
				target = fmt.Sprintf("[%s %s.%s]", t.ImportPath, t.Recv, t.Name)
			}
			targets = append(targets, target)
		}
	})
	return targets
}

// visit calls f for all text that is not code.
func visit(blocks []comment.Block, f func(comment.Text)) {
	for _, block := range blocks {
		switch b := block.(type) {
		case *comment.Paragraph:
			for _, t := range b.Text {
				f(t)
			}
		case *comment.List:
			for _, item := range b.Items {
				visit(item.Content, f)
			}
		}
	}
}

// has tells whether a package has such a function, type, value or method.
func has(p *doc.Package, recv, name string) bool {
	if recv == "" {
		return slices.ContainsFunc(p.Funcs, func(f *doc.Func) bool { return f.Name == name }) || hasType(p, name, "") || hasValue(p, name)
	}
	return hasType(p, recv, name)
}

func hasType(p *doc.Package, name, method string) bool {
	return slices.ContainsFunc(p.Types, func(t *doc.Type) bool {
		named := func(f *doc.Func) bool { return f.Name == method }
		switch {
		case t.Name != name:
			return method == "" && slices.ContainsFunc(t.Funcs, func(f *doc.Func) bool { return f.Name == name })
		case method == "" || slices.ContainsFunc(t.Methods, named):
			return true
		}
		return hasMethod(t.Decl, method)
	})
}

// hasMethod looks into an interface.
func hasMethod(decl *ast.GenDecl, method string) (found bool) {
	ast.Inspect(decl, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok {
			for _, m := range i.Methods.List {
				found = found || slices.ContainsFunc(m.Names, func(id *ast.Ident) bool { return id.Name == method })
			}
		}
		return true
	})
	return found
}

func hasValue(p *doc.Package, name string) bool {
	in := func(v *doc.Value) bool { return slices.Contains(v.Names, name) }
	return slices.ContainsFunc(p.Consts, in) || slices.ContainsFunc(p.Vars, in) ||
		slices.ContainsFunc(p.Types, func(t *doc.Type) bool {
			return slices.ContainsFunc(t.Consts, in) || slices.ContainsFunc(t.Vars, in)
		})
}
