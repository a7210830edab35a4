package testdb

import "os"

// FullVariable asks, when it is 1, for the full dose of tests that are the better the longer they run: all rounds, rows and
// windows that what the project promises was tried with. Without it they do as much as shows that they work.
const FullVariable = "APIKEYS_TEST_FULL"

// Full says that the full dose is asked for.
func Full() bool {
	value := os.Getenv(FullVariable)
	return value != "" && value != "0"
}

// Dose is how much of something a test does: little, or all of it with the full dose.
func Dose(little, full int) int {
	if Full() {
		return full
	}
	return little
}
