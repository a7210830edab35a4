// Package faulttest holds tests only: they break what the library stands on, at the
// worst moments, and see that what it promises holds all the same.
//
//   - crash_test.go: a process is killed amid issuing, rotating and revoking
//   - outage_test.go: a database server is killed under load, or frozen
//   - network_test.go: black hole, reset, slow, an answer lost after the commit
//   - calls_test.go: the k-th call of the store fails, for every k of every operation
//   - files_test.go: disk full, read-only, corrupted SQLite files
//   - clocks_test.go: clocks that jump
//   - history_test.go: histories of concurrent operations, checked by porcupine
//   - leaks_test.go: whatever is written down, searched for every secret
//
// They do a small dose with all other tests, and all of it where APIKEYS_TEST_FULL is
// set: `make test-faults` runs this package alone and prints what was counted.
package faulttest
