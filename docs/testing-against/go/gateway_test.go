// Tests against a gateway of their own, whose vendor is the sandbox.
package booking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Gateway is a gateway on free ports, with control of the sandbox behind it.
type Gateway struct {
	address, sandbox string
	process          *exec.Cmd
}

func start() (*Gateway, error) {
	address, ready, sandbox := freeAddress(), freeAddress(), freeAddress()
	command := os.Getenv("GATEWAY_COMMAND")
	if command == "" {
		command = "call-request-gateway serve"
	}
	words := strings.Fields(command)
	process := exec.Command(words[0], words[1:]...)
	process.Env = append(os.Environ(),
		"GATEWAY_LISTEN="+address,
		"GATEWAY_METRICS_LISTEN="+ready,
		"GATEWAY_SANDBOX_LISTEN="+sandbox,
		"GATEWAY_DEFAULT_MAX_AGE=0", // every read asks the sandbox, so that a change is seen at once
		"GATEWAY_FINAL_MAX_AGE=0",
		"GATEWAY_DRAIN_DELAY=0",
	)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		return nil, err
	}
	return &Gateway{address, "http://" + sandbox + "/sandbox", process}, waitUntilReady("http://" + ready + "/ready")
}

// CallRequest makes a call request; its fields are in docs/sandbox.md.
func (gateway *Gateway) CallRequest(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	gateway.control(t, http.MethodPut, "/call-requests/"+id, fields)
}

// Advance moves the sandbox's clock, and with it every call request's life.
func (gateway *Gateway) Advance(t *testing.T, by time.Duration) {
	t.Helper()
	gateway.control(t, http.MethodPost, "/clock", map[string]any{"advance": by.Seconds()})
}

// Fault has the vendor fail.
func (gateway *Gateway) Fault(t *testing.T, fields map[string]any) {
	t.Helper()
	gateway.control(t, http.MethodPost, "/faults", fields)
}

// Reset brings the sandbox back to its start.
func (gateway *Gateway) Reset(t *testing.T) {
	t.Helper()
	gateway.control(t, http.MethodPost, "/reset", map[string]any{})
}

func (gateway *Gateway) stop() {
	gateway.process.Process.Signal(syscall.SIGTERM)
	gateway.process.Wait()
}

func (gateway *Gateway) control(t *testing.T, method, path string, fields map[string]any) {
	t.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, gateway.sandbox+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, path, answer.Status)
	}
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func waitUntilReady(url string) error {
	for latest := time.Now().Add(20 * time.Second); time.Now().Before(latest); time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("%s: not ready after 20 s", url)
}

var gateway *Gateway

func TestMain(m *testing.M) {
	var err error
	if gateway, err = start(); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	gateway.stop()
	os.Exit(code)
}

func TestTheResultFollowsTheCall(t *testing.T) {
	gateway.Reset(t)
	gateway.CallRequest(t, "hotelIsPhoned001", map[string]any{"call_in": 3600, "call_takes": 60})
	expect(t, "CALL_REQUEST_STATUS_PENDING_TO_CALL", read(t, "hotelIsPhoned001"))
	gateway.Advance(t, time.Hour)
	expect(t, "CALL_REQUEST_STATUS_IN_PROGRESS", read(t, "hotelIsPhoned001"))
	gateway.Advance(t, time.Minute)
	expect(t, "CALL_STATUS_SUCCESS", read(t, "hotelIsPhoned001"))
}

func TestAnOutageOfTheVendorIsTold(t *testing.T) {
	gateway.Reset(t)
	gateway.CallRequest(t, "hotelIsPhoned001", map[string]any{"status": "COMPLETED"})
	gateway.Fault(t, map[string]any{"operation": "result", "fault": "unavailable"})
	expect(t, "VENDOR_UNAVAILABLE", read(t, "hotelIsPhoned001"))
}

func expect(t *testing.T, word, in string) {
	t.Helper()
	if !strings.Contains(in, word) {
		t.Errorf("no %s in %s", word, in)
	}
}

// read stands in for what you want to test, which calls the gateway by its stubs.
func read(t *testing.T, id string) string {
	t.Helper()
	request := fmt.Sprintf(`{"call_request_id": %q}`, id)
	method := "callrequest.v1.CallRequestService/GetCallRequestResult"
	output, _ := exec.Command("grpcurl", "-plaintext", "-d", request, gateway.address, method).CombinedOutput()
	return string(output)
}
