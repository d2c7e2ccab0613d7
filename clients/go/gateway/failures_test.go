package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The details of the status are in the failure: reason, wrong field, time to wait.
func TestDecodesErrorDetails(t *testing.T) {
	sandbox := freshSandbox(t)
	client := plaintext(t)

	_, err := client.Read(soon(t), "tooShort")
	wrong := failureIn(t, err)
	if wrong.Code != codes.InvalidArgument || wrong.Reason != "INVALID_REQUEST" || wrong.Decision != FixRequest {
		t.Errorf("got %v and %s", wrong, wrong.Decision)
	}
	if len(wrong.Violations) != 1 || wrong.Violations[0].GetField() != "call_request_id" {
		t.Errorf("got %v, want a violation by call_request_id", wrong.Violations)
	}

	_, err = client.Read(soon(t), "noSuchRequest001")
	if unknown := failureIn(t, err); unknown.Code != codes.NotFound || unknown.Reason != "CALL_REQUEST_NOT_FOUND" {
		t.Errorf("got %v", unknown)
	}

	// So long a wait that the gateway leaves it to the caller. The channel's retries end soon after.
	// An id of its own: the gateway holds back its reads for as long as the vendor asked.
	id := sandbox.Make(map[string]any{"fault": "too_many_requests", "seconds": 30})
	_, err = client.Read(soon(t), id)
	limited := failureIn(t, err)
	if limited.Code != codes.ResourceExhausted || limited.Reason != "VENDOR_RATE_LIMITED" || limited.Decision != RetryLater {
		t.Errorf("got %v and %s", limited, limited.Decision)
	}
	if limited.RetryAfter < 20*time.Second || limited.RetryAfter > 30*time.Second {
		t.Errorf("got %v to wait, want about 30s", limited.RetryAfter)
	}
}

// Every reason of the contract has a decision. A failure without a reason is decided by its code.
// A cancel that may have been sent is looked at again.
func TestDecidesForEveryReason(t *testing.T) {
	reasons := pb.ErrorReason(0).Descriptor().Values()
	for i := range reasons.Len() {
		reason := strings.TrimPrefix(string(reasons.Get(i).Name()), "ERROR_REASON_")
		if _, decided := decisions[reason]; !decided && reason != "UNSPECIFIED" { // which is never sent
			t.Errorf("%s has no decision", reason)
		}
	}

	defect := &errdetails.ErrorInfo{Domain: domain, Reason: "INTERNAL"}
	fromGateway := &errdetails.ErrorInfo{Domain: domain, Reason: "OF_A_LATER_VERSION"}
	fromProxy := &errdetails.ErrorInfo{Domain: "proxy.example.com", Reason: "VENDOR_ERROR"}
	for _, unknown := range []struct {
		code         codes.Code
		info         *errdetails.ErrorInfo
		read, cancel Decision
	}{
		{codes.Unavailable, nil, RetryLater, ReadResult},
		{codes.Unavailable, fromProxy, RetryLater, ReadResult},
		{codes.Unavailable, fromGateway, RetryLater, RetryLater},
		{codes.DeadlineExceeded, nil, RetryLater, ReadResult},
		{codes.Canceled, nil, RetryLater, ReadResult},
		{codes.Canceled, fromProxy, RetryLater, ReadResult},
		{codes.Canceled, fromGateway, AlertOperators, AlertOperators},
		{codes.Internal, defect, AlertOperators, ReadResult},
		{codes.Internal, nil, AlertOperators, AlertOperators},
		{codes.ResourceExhausted, nil, RetryLater, RetryLater},
		{codes.InvalidArgument, nil, FixRequest, FixRequest},
		{codes.NotFound, fromGateway, FixRequest, FixRequest},
		{codes.Internal, fromGateway, AlertOperators, AlertOperators},
		{codes.Unknown, nil, AlertOperators, AlertOperators},
	} {
		failed := status.New(unknown.code, "")
		if unknown.info != nil {
			failed, _ = failed.WithDetails(unknown.info)
		}
		if got := failedRead(t.Context(), failed.Err()).Decision; got != unknown.read {
			t.Errorf("read, %v with %v: got %s, want %s", unknown.code, unknown.info, got, unknown.read)
		}
		if got := failedCancel(t.Context(), failed.Err()).Decision; got != unknown.cancel {
			t.Errorf("cancel, %v with %v: got %s, want %s", unknown.code, unknown.info, got, unknown.cancel)
		}
	}
}

// A read that the program itself gave up is not to be repeated.
func TestAReadThatWasGivenUpIsNotRepeated(t *testing.T) {
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	err := status.Error(codes.Canceled, context.Canceled.Error())
	failure := failedRead(ctx, err)
	if failure.Decision != AlertOperators || !errors.Is(failure, context.Canceled) {
		t.Errorf("got %s and %v", failure.Decision, failure.Unwrap())
	}
	if other := failedRead(t.Context(), err); errors.Is(other, context.Canceled) {
		t.Error("a gateway that ended the call is taken for the program")
	}
}
