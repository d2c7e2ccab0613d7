package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"callrequest.internal/client/internal/surroundings"
	"google.golang.org/grpc"
)

// connect returns a channel that ends with the test.
func connect(t *testing.T, settings Settings, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	channel, err := Connect(settings, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { channel.Close() })
	return channel
}

// plaintext returns a client of the gateway that has the sandbox behind it.
func plaintext(t *testing.T, more ...grpc.DialOption) *Client {
	t.Helper()
	return NewClient(connect(t, Settings{Address: surroundings.Variable(t, "CALL_REQUEST_GATEWAY")}, more...))
}

// freshSandbox returns a sandbox as at its start, and a gateway that has forgotten earlier failures: three good reads in
// a row end its holding back.
func freshSandbox(t *testing.T) *surroundings.Sandbox {
	t.Helper()
	sandbox := surroundings.FreshSandbox(t)
	client := plaintext(t)
	for range 3 {
		if _, err := client.Read(soon(t), "77b2c4d5e6f7g890"); err != nil {
			t.Fatal(err)
		}
	}
	return sandbox
}

// soon is a deadline for what does not wait.
func soon(t *testing.T) context.Context {
	t.Helper()
	return within(t, 10*time.Second)
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), limit)
	t.Cleanup(stop)
	return ctx
}

// failureIn returns the *Failure that an error is.
func failureIn(t *testing.T, err error) *Failure {
	t.Helper()
	var failure *Failure
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a *Failure", err)
	}
	return failure
}
