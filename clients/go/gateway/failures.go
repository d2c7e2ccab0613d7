package gateway

import (
	"context"
	"fmt"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Decision is what to do about a failed call.
type Decision string

const (
	FixRequest    Decision = "FIX_REQUEST"     // it will never succeed as it is
	WaitAndRepeat Decision = "WAIT_AND_REPEAT" // after Failure.RetryAfter, with back-off
	LookAgain     Decision = "LOOK_AGAIN"      // read the result: it tells what the cancel did, or why it was too late
	TellAPerson   Decision = "TELL_A_PERSON"   // no program can mend it
)

var decisions = map[pb.ErrorReason]Decision{
	pb.ErrorReason_ERROR_REASON_INVALID_REQUEST:              FixRequest,
	pb.ErrorReason_ERROR_REASON_VENDOR_REJECTED_REQUEST:      FixRequest,
	pb.ErrorReason_ERROR_REASON_CALL_REQUEST_NOT_FOUND:       FixRequest,
	pb.ErrorReason_ERROR_REASON_VENDOR_UNAVAILABLE:           WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_VENDOR_TIMEOUT:               WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_VENDOR_RATE_LIMITED:          WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_OVERLOADED:                   WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_WATCH_ENDED:                  WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_CALLER_RATE_LIMITED:          WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED:            WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_VENDOR_FAILED:                WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_VENDOR_MALFORMED_RESPONSE:    WaitAndRepeat,
	pb.ErrorReason_ERROR_REASON_CANCELLATION_OUTCOME_UNKNOWN: LookAgain,
	pb.ErrorReason_ERROR_REASON_CANCELLATION_NOT_ALLOWED:     LookAgain,
	pb.ErrorReason_ERROR_REASON_VENDOR_REJECTED_CREDENTIALS:  TellAPerson,
	pb.ErrorReason_ERROR_REASON_VENDOR_ERROR:                 TellAPerson,
	pb.ErrorReason_ERROR_REASON_CALLER_UNAUTHENTICATED:       TellAPerson,
	pb.ErrorReason_ERROR_REASON_CALLER_FORBIDDEN:             TellAPerson,
	pb.ErrorReason_ERROR_REASON_INTERNAL:                     TellAPerson,
}

// domain tells the gateway's own ErrorInfo from that of a proxy on the way.
const domain = "callrequest.v1"

// Failure is a call that failed, with what its status says in detail.
type Failure struct {
	Decision   Decision
	Code       codes.Code
	Message    string                                  // for people
	Reason     string                                  // an ErrorReason without its prefix; empty: not from the gateway
	RetryAfter time.Duration                           // 0: not said
	Violations []*errdetails.BadRequest_FieldViolation // what to fix
	Rejected   *pb.CancellationRejected                // why it is too late to cancel
}

func (failure *Failure) Error() string {
	if failure.Reason == "" {
		return fmt.Sprintf("%v: %s", failure.Code, failure.Message)
	}
	return fmt.Sprintf("%v %s: %s", failure.Code, failure.Reason, failure.Message)
}

func failedRead(ctx context.Context, err error) *Failure {
	failure := decode(status.Convert(err))
	failure.Decision = failure.decide()
	if failure.Code == codes.Canceled && failure.Reason == "" && ctx.Err() == nil {
		// Not by the program's own doing: a server that stops may answer so to a call in the act of arriving (grpc#41785).
		failure.Decision = WaitAndRepeat
	}
	return failure
}

func failedCancel(ctx context.Context, err error) *Failure {
	failure := failedRead(ctx, err)
	if failure.mayHaveBeenSent() {
		failure.Decision = LookAgain
	}
	return failure
}

// mayHaveBeenSent tells whether a cancel that failed so may have cancelled, where its reason's decision is for reads.
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
			failure.RetryAfter = detail.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			failure.Violations = detail.GetFieldViolations()
		case *pb.CancellationRejected:
			failure.Rejected = detail
		}
	}
	return failure
}

func (failure *Failure) decide() Decision {
	reason := pb.ErrorReason(pb.ErrorReason_value["ERROR_REASON_"+failure.Reason])
	if decision, known := decisions[reason]; known {
		return decision
	}
	switch failure.Code { // no reason, or one of a later version
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return WaitAndRepeat
	case codes.InvalidArgument, codes.NotFound:
		return FixRequest
	default:
		return TellAPerson
	}
}
