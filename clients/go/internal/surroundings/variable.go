// Package surroundings is what the tests run against: gateways, and the control port of the vendor's sandbox.
package surroundings

import (
	"os"
	"testing"
)

// Variable returns an environment variable. Without it the test is skipped, or fails where nothing may be skipped.
func Variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	switch {
	case value != "":
		return value
	case os.Getenv("REQUIRE_ALL") == "1":
		t.Fatalf("%s is not set", name)
	default:
		t.Skipf("%s is not set", name)
	}
	return ""
}
