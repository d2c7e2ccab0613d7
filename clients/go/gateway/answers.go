package gateway

import (
	"fmt"

	pb "callrequest.internal/callrequest/v1"
)

// Standing describes where a call request stands and what came of its call.
func Standing(result *pb.CallRequestResult) string {
	switch status := result.GetStatus(); status {
	case pb.CallRequestStatus_CALL_REQUEST_STATUS_PENDING_TO_CALL:
		return "not phoned yet, can be cancelled"
	case pb.CallRequestStatus_CALL_REQUEST_STATUS_IN_PROGRESS:
		return "the hotel is being phoned"
	case pb.CallRequestStatus_CALL_REQUEST_STATUS_COMPLETED:
		if result.GetOutcome() == nil { // it may still come: not final
			return "the hotel was phoned, what came of it is not known yet"
		}
		return cameOf(result.GetOutcome())
	case pb.CallRequestStatus_CALL_REQUEST_STATUS_CANCELLED:
		return "cancelled"
	default: // UNSPECIFIED, or a value of a later version
		return fmt.Sprintf("unknown status %v", status)
	}
}

func cameOf(outcome *pb.CallOutcome) string {
	switch status := outcome.GetCallStatus(); status {
	case pb.CallStatus_CALL_STATUS_SUCCESS:
		return "verified"
	case pb.CallStatus_CALL_STATUS_ERROR_OUTCOME:
		return "not verified: " + outcome.GetStatusReason() + toDo(outcome.GetActionRequired())
	case pb.CallStatus_CALL_STATUS_UNABLE_TO_COMPLETE:
		return "could not be verified: " + outcome.GetStatusReason() + toDo(outcome.GetActionRequired())
	default: // UNSPECIFIED, or a value of a later version
		return fmt.Sprintf("unknown call status %v", status)
	}
}

func toDo(required *pb.ActionRequired) string {
	address := required.GetEmail() + required.GetFax()
	switch required.GetAction() {
	case pb.Action_ACTION_RESEND_RESERVATION:
		return "; send the reservation again to " + address
	case pb.Action_ACTION_RESEND_PAYMENT:
		return "; send the payment authorization again to " + address
	default: // nothing to do, or an action of a later version
		return ""
	}
}

// Effect describes how a call request came to be cancelled.
func Effect(cancellation *pb.Cancellation) string {
	switch outcome := cancellation.GetOutcome(); outcome {
	case pb.CancellationOutcome_CANCELLATION_OUTCOME_CANCELLED:
		return "cancelled now"
	case pb.CancellationOutcome_CANCELLATION_OUTCOME_ALREADY_CANCELLED:
		return "cancelled before"
	default: // a value of a later version; OK means that it is cancelled
		return fmt.Sprintf("cancelled, %v", outcome)
	}
}

// Hindrance describes why a call request cannot be cancelled any more.
func Hindrance(rejected *pb.CancellationRejected) string {
	switch reason := rejected.GetReason(); reason {
	case pb.CancellationRejectionReason_CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED:
		return "the check-in date is past"
	case pb.CancellationRejectionReason_CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS:
		return "the hotel is being phoned"
	case pb.CancellationRejectionReason_CANCELLATION_REJECTION_REASON_CALL_COMPLETED:
		return "the hotel was phoned: read what came of it"
	default: // the vendor sent no reason, or a value of a later version
		return fmt.Sprintf("unknown reason %v", reason)
	}
}
