package gateway

import (
	"testing"

	pb "callrequest.internal/callrequest/v1"
)

// An answer comes typed, and each standing has its words.
func TestReadsATypedOutcome(t *testing.T) {
	client := plaintext(t)
	verified, err := client.Read(soon(t), "77b2c4d5e6f7g890")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := verified.GetOutcome().GetCallType(), pb.CallType_CALL_TYPE_AUTHORIZATION_VERIFICATION; got != want {
		t.Errorf("got call type %v, want %v", got, want)
	}
	if got, want := verified.GetOutcome().GetCallStatus(), pb.CallStatus_CALL_STATUS_SUCCESS; got != want {
		t.Errorf("got call status %v, want %v", got, want)
	}
	for id, want := range map[string]string{
		"77b2c4d5e6f7g890": "verified",
		"statusPending001": "not phoned yet, can be cancelled",
		"statusInProgress": "the hotel is being phoned",
		"statusCancelled1": "cancelled",
		"q16NoResult00001": "the hotel was phoned, what came of it is not known yet",
		"callErrorOutcome": "not verified: Last four digits do not match",
		"unableToComplete": "could not be verified: Nobody picked up",
		"actionResendBook": "not verified: No reservation; send the reservation again to hotelbarcelona@gmail.com",
		"actionResendPay1": "not verified: No payment form; send the payment authorization again to +34932952800",
	} {
		t.Run(id, func(t *testing.T) {
			result, err := client.Read(soon(t), id)
			if err != nil {
				t.Fatal(err)
			}
			if got := Standing(result); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// A word of the vendor's without an enum value leaves UNSPECIFIED, and is listed with its field.
func TestShowsUnrecognizedValues(t *testing.T) {
	result, err := plaintext(t).Read(soon(t), "q14NewStatus0001")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Standing(result), "unknown status CALL_REQUEST_STATUS_UNSPECIFIED"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	unrecognized := result.GetUnrecognizedValues()
	if len(unrecognized) != 1 || unrecognized[0].GetField() != "status" || unrecognized[0].GetValue() != "ON_HOLD" {
		t.Errorf("got %v, want ON_HOLD for the status", unrecognized)
	}
}

// OK has whether this cancel did it or an earlier one.
func TestCancelsOnceAndAgain(t *testing.T) {
	id := freshSandbox(t).Make(map[string]any{"status": "PENDING_TO_CALL"})
	client := plaintext(t)
	for _, want := range []string{"cancelled now", "cancelled before"} {
		cancellation, err := client.Cancel(soon(t), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := Effect(cancellation); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Each reason why it is too late has its words, and the decision is to look at the result.
func TestTellsRejectionsApart(t *testing.T) {
	freshSandbox(t)
	client := plaintext(t)
	for id, want := range map[string]string{
		"cancelCheckedIn1": "the check-in date is past",
		"cancelInProgress": "the hotel is being phoned",
		"cancelCompleted1": "the hotel was phoned: read what came of it",
	} {
		t.Run(id, func(t *testing.T) {
			_, err := client.Cancel(soon(t), id)
			failure := failureIn(t, err)
			if failure.Reason != "CANCELLATION_NOT_ALLOWED" || failure.Decision != ReadResult {
				t.Errorf("got %v and %s", failure, failure.Decision)
			}
			if got := Hindrance(failure.Rejected); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
