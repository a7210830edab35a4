// Figures measures how tidy the house is: sizes of files and functions, how much of what is exported is documented, which
// operations have no example that runs, and which links in the documentation lead nowhere.
//
//	go -C tools run ./figures ..
//
// It fails when a file has more than 400 lines, when the 90th percentile of function lengths is above 25, when an exported
// name has no comment, when an operation has no example that runs, or when a link is broken.
package main

import (
	"fmt"
	"os"
	"strings"
)

// The bounds. Tests, examples and generated files count for links alone.
const (
	maxFileLines     = 400
	maxFunctionLines = 25 // of nine functions in ten
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	findings, err := report(root)
	if err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
	if findings > 0 {
		fmt.Printf("\n%d findings\n", findings)
		os.Exit(1)
	}
}

// report prints the figures of the module in root and returns how many things are not as they should be.
func report(root string) (findings int, err error) {
	code, err := readCode(root)
	if err != nil {
		return 0, err
	}
	broken, links, err := brokenLinks(root, code.tests)
	if err != nil {
		return 0, err
	}
	dead, docLinks := code.docLinks()
	p50, p90, longest := code.functionLengths()
	fmt.Printf("files       %d, %d lines, the longest %s\n", len(code.files), code.lines(), code.files[0])
	fmt.Printf("functions   %d, lines: median %d, 90th percentile %d, the longest %s\n", len(code.functions), p50, p90, longest)
	fmt.Printf("exported    %d names, %d without a comment\n", code.exported, len(code.undocumented))
	fmt.Printf("operations  %d, %d without an example that runs\n", code.operations, len(code.withoutExample))
	fmt.Printf("links       %d within the repository and names of tests, %d broken; %d in comments, %d broken\n",
		links, len(broken), docLinks, len(dead))

	findings += list(fmt.Sprintf("files of more than %d lines", maxFileLines), code.tooLong())
	findings += list("exported names without a comment", code.undocumented)
	findings += list("operations without an example that says what it prints", code.withoutExample)
	findings += list("broken links, and tests that are not there", broken)
	findings += list("links in comments that lead nowhere", dead)
	if p90 > maxFunctionLines {
		findings += list("lengths of functions", []string{fmt.Sprintf("the 90th percentile is %d, want at most %d", p90, maxFunctionLines)})
	}
	return findings, nil
}

func list(title string, items []string) int {
	if len(items) > 0 {
		fmt.Printf("\n%s:\n  %s\n", title, strings.Join(items, "\n  "))
	}
	return len(items)
}
