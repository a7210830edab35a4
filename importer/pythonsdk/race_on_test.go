//go:build race

package pythonsdk_test

// many is how many keys the big database has; under the race detector fewer do.
const many = 1_000
