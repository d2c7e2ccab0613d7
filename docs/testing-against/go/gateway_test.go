// Tests against a gateway of their own, whose vendor is the sandbox.
package booking

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
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
	webhook          map[string]any // for a call request whose result the vendor is to push
	process          *exec.Cmd
	ended            chan error
}

func start() (*Gateway, error) {
	address, ready, sandbox, webhook := freeAddress(), freeAddress(), freeAddress(), freeAddress()
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
		"GATEWAY_WATCH_PENDING_INTERVAL=0.2", // so soon a watcher sees it
		"GATEWAY_WATCH_IN_PROGRESS_INTERVAL=0.2",
		"GATEWAY_WEBHOOK_LISTEN="+webhook,
		"GATEWAY_WEBHOOK_TOKENS=a-token-of-the-vendor",
	)
	process.Stderr = os.Stderr
	if err := process.Start(); err != nil {
		return nil, err
	}
	gateway := &Gateway{
		address: address,
		sandbox: "http://" + sandbox + "/sandbox",
		webhook: map[string]any{
			"url":   "http://" + webhook + "/webhooks/call-request-completed",
			"token": "a-token-of-the-vendor",
		},
		process: process,
		ended:   make(chan error, 1),
	}
	go func() { gateway.ended <- process.Wait() }()
	return gateway, gateway.waitUntilReady("http://" + ready + "/ready")
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

// Pushed returns the HTTP statuses that the webhook has answered pushes about a call request with.
func (gateway *Gateway) Pushed(t *testing.T, id string) (statuses []int) {
	t.Helper()
	var report struct {
		Pushes []struct {
			ID     string
			Status int
		}
	}
	if err := json.Unmarshal(gateway.control(t, http.MethodGet, "/pushes", nil), &report); err != nil {
		t.Fatal(err)
	}
	for _, push := range report.Pushes {
		if push.ID == id {
			statuses = append(statuses, push.Status)
		}
	}
	return statuses
}

func (gateway *Gateway) stop() {
	gateway.process.Process.Signal(syscall.SIGTERM)
	<-gateway.ended
}

func (gateway *Gateway) control(t *testing.T, method, path string, fields map[string]any) []byte {
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
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, answer.Status, text, err)
	}
	return text
}

func (gateway *Gateway) waitUntilReady(url string) error {
	for latest := time.Now().Add(20 * time.Second); time.Now().Before(latest); {
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-gateway.ended: // stderr has why, such as a setting that is wrong
			return fmt.Errorf("the gateway ended: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	gateway.stop()
	return fmt.Errorf("%s: not ready after 20 s", url)
}

// freeAddress takes none of the ports that the kernel assigns: another program could get it before the gateway does.
func freeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.N(12_000))
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			return address
		}
	}
}

var running *Gateway

func TestMain(m *testing.M) {
	var err error
	if running, err = start(); err != nil {
		log.Fatal(err)
	}
	code := m.Run()
	running.stop()
	os.Exit(code)
}

func TestTheResultFollowsTheCall(t *testing.T) {
	running.Reset(t)
	running.CallRequest(t, "hotelIsPhoned001", map[string]any{"call_in": 3600, "call_takes": 60})
	expect(t, "CALL_REQUEST_STATUS_PENDING_TO_CALL", read(t, "hotelIsPhoned001"))
	running.Advance(t, time.Hour)
	expect(t, "CALL_REQUEST_STATUS_IN_PROGRESS", read(t, "hotelIsPhoned001"))
	running.Advance(t, time.Minute)
	expect(t, "CALL_STATUS_SUCCESS", read(t, "hotelIsPhoned001"))
}

func TestAnOutageOfTheVendorIsTold(t *testing.T) {
	running.Reset(t)
	running.CallRequest(t, "hotelIsPhoned001", map[string]any{"status": "COMPLETED"})
	running.Fault(t, map[string]any{"operation": "result", "fault": "unavailable"})
	expect(t, "VENDOR_UNAVAILABLE", read(t, "hotelIsPhoned001"))
}

func TestAWatcherSeesTheCallBeginAndEnd(t *testing.T) {
	running.Reset(t)
	running.CallRequest(t, "hotelIsPhoned001", map[string]any{"call_in": 3600, "call_takes": 60})
	watch := call("WatchCallRequestResult", "hotelIsPhoned001")
	printed, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	watch.Stderr = os.Stderr
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(printed)
	until(t, lines, "CALL_REQUEST_STATUS_PENDING_TO_CALL")
	running.Advance(t, time.Hour)
	until(t, lines, "CALL_REQUEST_STATUS_IN_PROGRESS")
	running.Advance(t, time.Minute)
	until(t, lines, "CALL_STATUS_SUCCESS")
	for lines.Scan() { // the rest of what it prints
	}
	if err := watch.Wait(); err != nil { // a final result ends it
		t.Error(err)
	}
}

func TestTheVendorPushesTheResult(t *testing.T) {
	running.Reset(t)
	fields := map[string]any{"call_in": 3600, "call_takes": 60, "webhook": running.webhook}
	running.CallRequest(t, "resultIsPushed01", fields)
	running.Advance(t, time.Hour+time.Minute)
	for latest := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		statuses := running.Pushed(t, "resultIsPushed01")
		if len(statuses) == 1 && statuses[0] == http.StatusAccepted { // it was not signed: the gateway reads the result
			return
		}
		if time.Now().After(latest) {
			t.Fatalf("pushes were answered with %v", statuses)
		}
	}
}

func expect(t *testing.T, word, in string) {
	t.Helper()
	if !strings.Contains(in, word) {
		t.Errorf("no %s in %s", word, in)
	}
}

// until reads what a watch prints, up to that word.
func until(t *testing.T, lines *bufio.Scanner, word string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), word) {
			return
		}
	}
	t.Fatalf("it ended without %s", word)
}

// read stands in for what you want to test, which calls the gateway by its stubs.
func read(t *testing.T, id string) string {
	t.Helper()
	output, err := call("GetCallRequestResult", id).CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(output)
}

// call ends after 20 s at most: go test's own time-out would leave the gateway behind.
func call(method, id string) *exec.Cmd {
	request := fmt.Sprintf(`{"call_request_id": %q}`, id)
	method = "callrequest.v1.CallRequestService/" + method
	return exec.Command("grpcurl", "-plaintext", "-max-time", "20", "-d", request, running.address, method)
}
