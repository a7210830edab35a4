package httpapi

// Patterns are those of the routes that New registers for principals.
func Patterns() []string {
	var patterns []string
	for _, r := range routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// HolderPatterns are those of the routes that New registers for the holders of keys.
func HolderPatterns() []string {
	var patterns []string
	for _, r := range holderRoutes(Options{}) {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}
