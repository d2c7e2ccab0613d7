package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Decision is what to do about a failed call.
type Decision string

const (
	FixRequest     Decision = "FIX_REQUEST"     // it fails again as it is
	RetryLater     Decision = "RETRY_LATER"     // after Failure.RetryAfter, with back-off
	ReadResult     Decision = "READ_RESULT"     // it shows what the cancel did, or why it was too late
	AlertOperators Decision = "ALERT_OPERATORS" // no program can correct it
)

// domain is that of the gateway's ErrorInfo; a proxy on the way has another.
const domain = "callrequest.v1"

// maxRetryAfter is what the gateway asks for at most: a longer time is another's, or a mistake.
const maxRetryAfter = 5 * time.Minute

// Failure is a call that failed, with the details of its status.
type Failure struct {
	Decision   Decision
	Code       codes.Code
	Message    string                                  // for people
	Reason     string                                  // an ErrorReason without its prefix; empty: not from the gateway
	RetryAfter time.Duration                           // 0: none was sent
	Violations []*errdetails.BadRequest_FieldViolation // what to fix
	Rejected   *pb.CancellationRejected                // why it is too late to cancel

	ended error // of the program's own context, when that is why
}

func (failure *Failure) Error() string {
	if failure.Reason == "" {
		return fmt.Sprintf("%v: %s", failure.Code, failure.Message)
	}
	return fmt.Sprintf("%v %s: %s", failure.Code, failure.Reason, failure.Message)
}

// Unwrap returns the error of the context that ended the call. Then it is the program that ended it, or its deadline,
// and the decision is only what holds for others' calls that end so.
func (failure *Failure) Unwrap() error { return failure.ended }

func failedRead(ctx context.Context, err error) *Failure {
	failure := decode(status.Convert(err))
	failure.ended = endOf(ctx, failure)
	failure.Decision = failure.decide()
	if failure.Code == codes.Canceled && failure.Reason == "" && ctx.Err() == nil {
		// Not by the program's own doing: a server that stops may answer so to a call in the act of arriving (grpc#41785).
		failure.Decision = RetryLater
	}
	return failure
}

// endOf returns the error of the context, if that is what ended the call: not a failure that came just before.
func endOf(ctx context.Context, failure *Failure) error {
	switch failure.Code {
	case codes.Canceled, codes.DeadlineExceeded:
		return ctx.Err()
	default:
		return nil
	}
}

func failedItem(err *pb.BatchError) *Failure {
	failure := &Failure{Code: codes.Code(err.GetCode()), Message: err.GetMessage()}
	if name, known := pb.ErrorReason_name[int32(err.GetReason())]; known { // else it is of a later version
		failure.Reason = strings.TrimPrefix(name, "ERROR_REASON_")
	}
	failure.Decision = failure.decide()
	return failure
}

func failedCancel(ctx context.Context, err error) *Failure {
	failure := failedRead(ctx, err)
	if failure.mayHaveBeenSent() {
		failure.Decision = ReadResult
	}
	return failure
}

// mayHaveBeenSent reports whether a cancel that failed like this may have taken effect.
func (failure *Failure) mayHaveBeenSent() bool {
	if failure.Reason != "" {
		return failure.Reason == "INTERNAL" // a defect, before the cancel was sent or after
	}
	switch failure.Code { // nothing from the gateway: it broke off or stopped, the time was over, or the context ended
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	default:
		return false
	}
}

func decode(status *status.Status) *Failure {
	failure := &Failure{Code: status.Code(), Message: status.Message()}
	for _, detail := range status.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				failure.Reason = detail.GetReason()
			}
		case *errdetails.RetryInfo:
			failure.RetryAfter = max(0, min(detail.GetRetryDelay().AsDuration(), maxRetryAfter))
		case *errdetails.BadRequest:
			failure.Violations = detail.GetFieldViolations()
		case *pb.CancellationRejected:
			failure.Rejected = detail
		}
	}
	return failure
}

func (failure *Failure) decide() Decision {
	if decision, known := decisions[failure.Reason]; known {
		return decision
	}
	switch failure.Code { // no reason, or one of a later version
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return RetryLater
	case codes.InvalidArgument, codes.NotFound:
		return FixRequest
	default:
		return AlertOperators
	}
}
