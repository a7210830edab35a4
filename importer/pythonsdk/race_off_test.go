//go:build !race

package pythonsdk_test

// many is how many keys the big database has.
const many = 10_000
