// Package clienttest holds tests only: what a Client promises, on all databases.
//
// Every test runs on SQLite, Postgres and MySQL or MariaDB, each on an empty database.
// What concerns one method of a store is tested in store/storetest; here it is what
// clients make of them: signing secrets that are changed under way, keys through their
// whole life, events, usage, and tables that do not grow without bound.
package clienttest
