// Package fleettest holds tests only: what several processes of one service do to each other through the database that
// they share, on each database.
//
// The tests run their own program again as children, let those migrate, validate and use up limits at once, kill them
// and freeze them, and count what was accepted. They do a small dose of it; the full one, which takes most of an hour
// and wants a machine for itself, is asked for by
//
//	APIKEYS_TEST_FULL=1 go test -timeout 2h -v ./internal/fleettest
//
// What it gave is written down in docs/evidence.md.
package fleettest
