package gateway

import (
	"net"
	"testing"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"callrequest.internal/client/internal/surroundings"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// A call ends when its time is over, however long the vendor takes.
func TestKeepsItsDeadline(t *testing.T) {
	freshSandbox(t)
	begun := time.Now()
	_, err := plaintext(t).Read(within(t, 500*time.Millisecond), "faultSlow0000001")
	if failure := failureIn(t, err); failure.Code != codes.DeadlineExceeded || failure.Decision != RetryLater {
		t.Errorf("got %v and %s", failure, failure.Decision)
	}
	if took := time.Since(begun); took < 300*time.Millisecond || took > 1500*time.Millisecond {
		t.Errorf("took %v, want about 500ms", took)
	}
}

// The token goes with each call, over TLS only, and the gateway checks permissions by it.
func TestSendsItsIdentity(t *testing.T) {
	address := surroundings.Variable(t, "CALL_REQUEST_GATEWAY_TLS")
	ca := surroundings.Variable(t, "CALL_REQUEST_CA")
	token := surroundings.Variable(t, "CALL_REQUEST_TOKEN")
	readerToken := surroundings.Variable(t, "CALL_REQUEST_READER_TOKEN")
	secure := func(token string) *Client { return NewClient(connect(t, Settings{address, ca, token})) }

	if _, err := secure(token).Read(soon(t), "77b2c4d5e6f7g890"); err != nil {
		t.Errorf("with a token: %v", err)
	}
	_, err := secure("").Read(soon(t), "77b2c4d5e6f7g890")
	if failure := failureIn(t, err); failure.Code != codes.Unauthenticated || failure.Reason != "CALLER_UNAUTHENTICATED" {
		t.Errorf("without a token: %v", failure)
	}
	reader := secure(readerToken)
	if _, err := reader.Read(soon(t), "77b2c4d5e6f7g890"); err != nil {
		t.Errorf("with the reader's token: %v", err)
	}
	_, err = reader.Cancel(soon(t), "66a1b2c3d4e5f678")
	if failure := failureIn(t, err); failure.Code != codes.PermissionDenied || failure.Reason != "CALLER_FORBIDDEN" {
		t.Errorf("a reader's cancel: %v", failure)
	}
	if _, err := Connect(Settings{Address: address, Token: token}); err == nil {
		t.Error("a token was taken for plaintext")
	}
}

// The vendor fails for all tries that the gateway makes for one call: the channel makes another call, if the service
// config says so.
func TestRetriesReadsByServiceConfig(t *testing.T) {
	sandbox := freshSandbox(t)
	outage := surroundings.Fault{Operation: "result", Fault: "unavailable", Times: 3}

	sandbox.Plan(outage)
	if _, err := plaintext(t).Read(soon(t), "77b2c4d5e6f7g890"); err != nil {
		t.Errorf("with the service config: %v", err)
	}

	sandbox = freshSandbox(t)
	sandbox.Plan(outage)
	_, err := plaintext(t, grpc.WithDefaultServiceConfig("{}")).Read(soon(t), "77b2c4d5e6f7g890")
	if failure := failureIn(t, err); failure.Code != codes.Unavailable {
		t.Errorf("without the service config: %v", failure)
	}
}

// A cancel that failed with a code that reads are repeated for is sent once.
func TestSendsACancelOnce(t *testing.T) {
	sandbox := freshSandbox(t)
	before := sandbox.Asked()
	sandbox.RevokeTokens()
	sandbox.Plan(surroundings.Fault{Operation: "token", Fault: "unavailable"})

	_, err := plaintext(t).Cancel(soon(t), "66a1b2c3d4e5f678")
	if failure := failureIn(t, err); failure.Code != codes.Unavailable || failure.Decision != RetryLater {
		t.Errorf("got %v and %s", failure, failure.Decision)
	}
	// For one call the gateway sends the cancel, whose token is refused, and asks thrice for another.
	after := sandbox.Asked()
	if cancels, tokens := after["cancel"]-before["cancel"], after["token"]-before["token"]; cancels > 1 || tokens > 3 {
		t.Errorf("the vendor got %d cancels and was asked for a token %d times", cancels, tokens)
	}
}

// Only a gateway whose health is SERVING is called.
func TestWatchesHealth(t *testing.T) {
	channel := connect(t, Settings{Address: surroundings.Variable(t, "CALL_REQUEST_GATEWAY")})
	becomes(t, channel, connectivity.Ready)
	service := pb.CallRequestService_ServiceDesc.ServiceName
	watch, err := healthpb.NewHealthClient(channel).Watch(soon(t), &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := watch.Recv() // a gateway without Watch counts as healthy
	if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", answer, err)
	}

	// A gateway that is draining, which the one under test is not: connected, and still not called.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, draining := grpc.NewServer(), &drainingGateway{over: make(chan struct{})}
	healthpb.RegisterHealthServer(server, draining)
	go server.Serve(listener)
	t.Cleanup(server.Stop)

	channel = connect(t, Settings{Address: listener.Addr().String()})
	becomes(t, channel, connectivity.TransientFailure)
	close(draining.over)
	becomes(t, channel, connectivity.Ready)
}

// After an attempt to connect that failed the next one comes in less than the second that gRPC waits by itself.
func TestConnectsAgainSoon(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	channel := connect(t, Settings{Address: address})
	becomes(t, channel, connectivity.TransientFailure)

	begun := time.Now()
	if listener, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	becomes(t, channel, connectivity.Ready)
	if took := time.Since(begun); took > 600*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

// drainingGateway is not serving until that is over. It is no health.Server: importing that would make up for an
// import that the client lacks.
type drainingGateway struct {
	healthpb.UnimplementedHealthServer
	over chan struct{}
}

func (draining *drainingGateway) Watch(_ *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	answer := &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING}
	if err := stream.Send(answer); err != nil {
		return err
	}
	select {
	case <-draining.over:
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
	answer = &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}
	if err := stream.Send(answer); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func becomes(t *testing.T, channel *grpc.ClientConn, want connectivity.State) {
	t.Helper()
	ctx := soon(t)
	channel.Connect()
	for state := channel.GetState(); state != want; state = channel.GetState() {
		if !channel.WaitForStateChange(ctx, state) {
			t.Fatalf("the channel is %v, want %v", state, want)
		}
	}
}
