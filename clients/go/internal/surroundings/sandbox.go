package surroundings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// Sandbox plays the vendor. Its control port makes call requests and lets the vendor fail.
type Sandbox struct {
	t   testing.TB
	url string
}

// Fault is what the vendor does instead of answering. docs/sandbox.md has their names.
type Fault struct {
	Operation string  `json:"operation"` // result, cancel, token or any
	Fault     string  `json:"fault"`
	Times     int     `json:"times,omitempty"`   // 0: until the end of the test
	Seconds   float64 `json:"seconds,omitempty"` // of those that wait, or ask to
}

// FreshSandbox returns the sandbox as it was at its start, and leaves it so.
func FreshSandbox(t testing.TB) *Sandbox {
	t.Helper()
	sandbox := &Sandbox{t, Variable(t, "CALL_REQUEST_SANDBOX")}
	sandbox.reset()
	t.Cleanup(sandbox.reset)
	return sandbox
}

// Make returns the id of a new call request. plan has fields of docs/sandbox.md.
func (sandbox *Sandbox) Make(plan map[string]any) string {
	sandbox.t.Helper()
	var made struct{ ID string }
	sandbox.control("POST", "/sandbox/call-requests", plan, &made)
	return made.ID
}

// Plan lets the vendor fail.
func (sandbox *Sandbox) Plan(fault Fault) {
	sandbox.t.Helper()
	sandbox.control("POST", "/sandbox/faults", fault, nil)
}

// RevokeTokens makes the gateway ask for a new token with its next request.
func (sandbox *Sandbox) RevokeTokens() {
	sandbox.t.Helper()
	sandbox.control("POST", "/sandbox/tokens/revoke", nil, nil)
}

// Asked counts the requests that the vendor got since the start, by operation.
func (sandbox *Sandbox) Asked() map[string]int {
	sandbox.t.Helper()
	var report struct{ Counts map[string]int }
	sandbox.control("GET", "/sandbox/requests", nil, &report)
	return report.Counts
}

func (sandbox *Sandbox) reset() {
	sandbox.control("POST", "/sandbox/reset", map[string]any{"keep_tokens": true}, nil)
}

func (sandbox *Sandbox) control(method, path string, fields, answer any) {
	sandbox.t.Helper()
	if err := call(method, sandbox.url+path, fields, answer); err != nil {
		sandbox.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func call(method, url string, fields, answer any) error {
	var body bytes.Buffer
	if fields != nil {
		if err := json.NewEncoder(&body).Encode(fields); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, url, &body)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body) // says which field is wrong
		return fmt.Errorf("HTTP %s: %s", response.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
