package gateway

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"callrequest.internal/client/internal/surroundings"
	"google.golang.org/grpc/codes"
)

const (
	pending   = pb.CallRequestStatus_CALL_REQUEST_STATUS_PENDING_TO_CALL
	phoning   = pb.CallRequestStatus_CALL_REQUEST_STATUS_IN_PROGRESS
	completed = pb.CallRequestStatus_CALL_REQUEST_STATUS_COMPLETED
)

// followed returns the statuses that a follower sees, and how it ended.
func followed(t *testing.T, client *Client, id string) (statuses []pb.CallRequestStatus, err error) {
	t.Helper()
	err = client.Follow(within(t, 90*time.Second), id, func(result *pb.CallRequestResult) error {
		statuses = append(statuses, result.GetStatus())
		return nil
	})
	return statuses, err
}

// A follower sees each status in turn. What waiting does not mend, its own error and its context end it at once.
func TestFollowsToTheEnd(t *testing.T) {
	sandbox := freshSandbox(t)
	id := sandbox.Make(map[string]any{"call_in": 1.5, "call_takes": 1.5})
	statuses, err := followed(t, plaintext(t), id)
	if err != nil || !slices.Equal(statuses, []pb.CallRequestStatus{pending, phoning, completed}) {
		t.Errorf("got %v and %v", statuses, err)
	}

	_, err = followed(t, plaintext(t), "unknownToVendor1")
	if failure := failureIn(t, err); failure.Reason != "CALL_REQUEST_NOT_FOUND" {
		t.Errorf("an id that the vendor does not know: %v", failure)
	}
	for _, own := range []error{errors.New("enough"), &Failure{Decision: RetryLater}} { // even of another call
		err = plaintext(t).Follow(soon(t), "statusPending001", func(*pb.CallRequestResult) error { return own })
		if err != own {
			t.Errorf("the follower's own error: %v", err)
		}
	}
	nothing := func(*pb.CallRequestResult) error { return nil }
	err = plaintext(t).Follow(within(t, 500*time.Millisecond), "statusPending001", nothing)
	if failure := failureIn(t, err); failure.Code != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the end of its context: %v", failure)
	}
	ctx, leave := context.WithCancel(soon(t))
	err = plaintext(t).Follow(ctx, "statusPending001", func(*pb.CallRequestResult) error { leave(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("when the program ends it: %v", err)
	}
}

// A program that closes its channel does not follow for ever, though nobody ends the context.
func TestClosingTheChannelEndsFollowing(t *testing.T) {
	channel, err := Connect(Settings{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(500*time.Millisecond, func() { channel.Close() })
	_, err = followed(t, NewClient(channel), "statusPending001")
	if failureIn(t, err); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it went on until its deadline: %v", err)
	}
}

// A gateway that ends the stream is watched again, after the time that it asks for. A result that has not changed
// meanwhile is not handed over again.
func TestFollowsThroughReconnects(t *testing.T) {
	sandbox := freshSandbox(t)
	id := sandbox.Make(map[string]any{"call_in": 4, "call_takes": 0.1})
	address := surroundings.Variable(t, "CALL_REQUEST_GATEWAY_RESTLESS")
	statuses, err := followed(t, NewClient(connect(t, Settings{Address: address})), id)
	if err != nil || len(statuses) < 2 || statuses[len(statuses)-1] != completed {
		t.Errorf("got %v and %v", statuses, err)
	}
	if once := slices.Compact(slices.Clone(statuses)); !slices.Equal(statuses, once) {
		t.Errorf("got %v, want each once", statuses)
	}
}

// A connection that is gone without a word is noticed, and the result is followed on another.
func TestFollowsThroughSilence(t *testing.T) {
	sandbox := freshSandbox(t)
	id := sandbox.Make(map[string]any{"call_in": 4, "call_takes": 0.1})
	address := surroundings.Variable(t, "CALL_REQUEST_GATEWAY_SILENT")
	statuses, err := followed(t, NewClient(connect(t, Settings{Address: address})), id)
	if err != nil || !slices.Equal(statuses, []pb.CallRequestStatus{pending, completed}) {
		t.Errorf("got %v and %v", statuses, err)
	}
}

// What breaks the contract neither stops a follower nor leads it back, nor has it call without a pause.
func TestFollowsAFlawedGateway(t *testing.T) {
	client := NewClient(connect(t, Settings{Address: surroundings.Variable(t, "CALL_REQUEST_GATEWAY_FLAWED")}))
	for id, want := range map[string][]pb.CallRequestStatus{
		"badDetails000001": {pending, completed},
		"olderResult00001": {phoning, completed},
		"endsAndEnds00001": {pending, completed},
	} {
		if statuses, err := followed(t, client, id); err != nil || !slices.Equal(statuses, want) {
			t.Errorf("%s: got %v and %v", id, statuses, err)
		}
	}
	_, err := client.Read(soon(t), "waitTooLong00001")
	if failure := failureIn(t, err); failure.RetryAfter != maxRetryAfter {
		t.Errorf("got %v to wait", failure.RetryAfter)
	}
}

// Each id of a batch has a result or a failure with its decision, in order.
func TestReadsManyAtOnce(t *testing.T) {
	client := plaintext(t)
	items, err := client.ReadMany(soon(t), []string{"statusPending001", "not an id", "unknownToVendor1"})
	if err != nil || len(items) != 3 {
		t.Fatalf("got %v and %v", items, err)
	}
	if items[0].ID != "statusPending001" || items[0].Result.GetStatus() != pending || items[0].Failure != nil {
		t.Errorf("the first: %v", items[0])
	}
	for i, want := range []string{"INVALID_REQUEST", "CALL_REQUEST_NOT_FOUND"} {
		if item := items[i+1]; item.Result != nil || item.Failure.Reason != want || item.Failure.Decision != FixRequest {
			t.Errorf("got %v, want %s", item, want)
		}
	}
	_, err = client.ReadMany(soon(t), nil)
	if failure := failureIn(t, err); failure.Reason != "INVALID_REQUEST" {
		t.Errorf("without ids: %v", failure)
	}
}
