// Package difftest holds tests only: they do the same to all stores and compare
// what they answer.
//
// A state machine (pgregory.net/rapid) draws random operations, every method of
// apikeys.Store with hostile names, ids, times and JSON, and does each of them on
// a model in memory and on SQLite, Postgres and MySQL or MariaDB. Answers and errors
// must be the model's, and so must everything that can be listed at the end. A
// failure names the operations that lead to it, shortened to the fewest, and what
// each store answered.
//
//	go test ./internal/difftest -rapid.checks=5000
//
// runs more of them than the usual 50 (see also -rapid.steps and -rapid.seed).
// Left out of the comparison is what the contract leaves open, as the comments of the
// operations say, and the clocks of the databases.
package difftest
