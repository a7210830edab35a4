// Package openapitest holds the tests of package httpapi against its OpenAPI
// document: every request and answer of theirs has to be as the document says, and
// everything that the document says has to occur in them. It is a module of its own
// because of the validator that it needs.
package openapitest
