package main

import (
	"strings"
	"testing"

	"callrequest.internal/client/gateway"
	"callrequest.internal/client/internal/surroundings"
)

// The command prints an answer, and of a failure what to do about it.
func TestPrintsAnswersAndDecisions(t *testing.T) {
	settings := gateway.Settings{Address: surroundings.Variable(t, "CALL_REQUEST_GATEWAY")}
	surroundings.FreshSandbox(t)
	for command, want := range map[string]string{
		"result 77b2c4d5e6f7g890": "verified\n",
		"result q14NewStatus0001": "not understood: status \"ON_HOLD\"\n",
		"cancel 66a1b2c3d4e5f678": "cancelled now\n",
		"cancel cancelCheckedIn1": "READ_RESULT\nthe check-in date is past\n",
		"result tooShort":         "FIX_REQUEST\ncall_request_id: Must be exactly 16 characters",
		"read 77b2c4d5e6f7g890":   "usage: client result",
	} {
		t.Run(command, func(t *testing.T) {
			var printed strings.Builder
			if err := run(settings, strings.Fields(command), &printed); err != nil {
				explain(&printed, err)
			}
			if !strings.Contains(printed.String(), want) {
				t.Errorf("got %q, want %q in it", printed.String(), want)
			}
		})
	}
}
