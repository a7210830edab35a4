package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fenced  = regexp.MustCompile("(?s)(?:^|\n)```.*?\n```")
	named   = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// brokenLinks reads all Markdown files and returns what leads nowhere: links into the repository, and names of tests.
func brokenLinks(root string, tests map[string]bool) (broken []string, links int, err error) {
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() != ".github":
			return skipDir(root, path, entry.Name())
		case entry.IsDir() || !strings.HasSuffix(path, ".md"):
			return nil
		}
		text, err := readMarkdown(path)
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, err := url.Parse(match[1])
			if err == nil && (target.IsAbs() || target.Host != "") {
				continue
			}
			if links++; err != nil || !resolves(path, target) {
				broken = append(broken, fmt.Sprintf("%s: %s", path, match[1]))
			}
		}
		for _, name := range named.FindAllString(text, -1) {
			if links++; !startsOne(tests, name) {
				broken = append(broken, fmt.Sprintf("%s: %s", path, name))
			}
		}
		return err
	})
	return broken, links, err
}

// startsOne tells whether a test has the name, or one that begins with it, as go test -run takes it.
func startsOne(tests map[string]bool, name string) bool {
	for test := range tests {
		if strings.HasPrefix(test, name) {
			return true
		}
	}
	return false
}

func readMarkdown(path string) (string, error) {
	b, err := os.ReadFile(path)
	return fenced.ReplaceAllString(string(b), ""), err
}

// resolves tells whether a file is there, and has the heading that is named.
func resolves(from string, target *url.URL) bool {
	path := from
	if target.Path != "" {
		path = filepath.Join(filepath.Dir(from), filepath.FromSlash(target.Path))
	}
	if _, err := os.Stat(path); err != nil {
		return false
	}
	if target.Fragment == "" || !strings.HasSuffix(path, ".md") {
		return true
	}
	text, err := readMarkdown(path)
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		if anchor(h[1]) == target.Fragment {
			return true
		}
	}
	return err != nil
}

// anchor is what a heading is called in links, as GitHub makes it.
func anchor(title string) string {
	title = dropped.ReplaceAllString(strings.ToLower(title), "")
	return strings.ReplaceAll(strings.TrimSpace(title), " ", "-")
}
