package gateway

import (
	"testing"

	pb "callrequest.internal/callrequest/v1"
	"callrequest.internal/client/internal/surroundings"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Values, fields and reasons of a later version do no harm: unknown branches take them, and what is passed on is whole.
func TestMeetsTheUnknown(t *testing.T) {
	client := NewClient(connect(t, Settings{Address: surroundings.Variable(t, "CALL_REQUEST_GATEWAY_NEXT")}))
	result, err := client.Read(soon(t), "nextVersion00001")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Standing(result), "unknown status 99"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := result.GetOutcome().GetCallType(); got != 99 {
		t.Errorf("got call type %v, want 99", got)
	}

	bytes, err := proto.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	var again pb.CallRequestResult
	if err := proto.Unmarshal(bytes, &again); err != nil {
		t.Fatal(err)
	}
	field, _, read := protowire.ConsumeTag(again.ProtoReflect().GetUnknown())
	text, _ := protowire.ConsumeString(again.ProtoReflect().GetUnknown()[max(read, 0):])
	if field != 900 || text != "tomorrow" {
		t.Errorf("got field %d with %q, want 900 with tomorrow", field, text)
	}

	_, err = client.Read(soon(t), "nextVersion00002")
	failure := failureIn(t, err)
	if failure.Code != codes.Unavailable || failure.Reason != "VENDOR_ON_THE_MOON" || failure.Decision != RetryLater {
		t.Errorf("got %v and %s", failure, failure.Decision)
	}
}
