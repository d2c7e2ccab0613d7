// Command client reads the result of a call request and prints it, follows it to its end, or cancels one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"callrequest.internal/client/gateway"
)

const usage = `usage: client result <call request id>
       client follow <call request id>
       client cancel <call request id>

CALL_REQUEST_GATEWAY  host:port, 127.0.0.1:50051 if unset
CALL_REQUEST_CA       PEM file for TLS; unset: plaintext
CALL_REQUEST_TOKEN    bearer token, with TLS only`

func main() {
	settings := gateway.Settings{
		Address: os.Getenv("CALL_REQUEST_GATEWAY"),
		CA:      os.Getenv("CALL_REQUEST_CA"),
		Token:   os.Getenv("CALL_REQUEST_TOKEN"),
	}
	if settings.Address == "" {
		settings.Address = "127.0.0.1:50051"
	}
	if err := run(settings, os.Args[1:], os.Stdout); err != nil {
		explain(os.Stderr, err)
		os.Exit(1)
	}
}

func run(settings gateway.Settings, args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New(usage)
	}
	channel, err := gateway.Connect(settings)
	if err != nil {
		return err
	}
	defer channel.Close()
	client := gateway.NewClient(channel)

	switch command, id := args[0], args[1]; command {
	case "result":
		return result(client, id, out)
	case "follow":
		return client.Follow(context.Background(), id, func(result *pb.CallRequestResult) error {
			show(result, out)
			return nil
		})
	case "cancel":
		return cancel(client, id, out)
	default:
		return errors.New(usage)
	}
}

func result(client *gateway.Client, id string, out io.Writer) error {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	result, err := client.Read(ctx, id)
	if err != nil {
		return err
	}
	show(result, out)
	return nil
}

func show(result *pb.CallRequestResult, out io.Writer) {
	fmt.Fprintln(out, gateway.Standing(result))
	for _, unrecognized := range result.GetUnrecognizedValues() {
		fmt.Fprintf(out, "not understood: %s %q\n", unrecognized.GetField(), unrecognized.GetValue())
	}
}

func cancel(client *gateway.Client, id string, out io.Writer) error {
	ctx, stop := context.WithTimeout(context.Background(), 15*time.Second)
	defer stop()
	cancellation, err := client.Cancel(ctx, id)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, gateway.Effect(cancellation))
	return nil
}

// explain prints an error and, when a call failed, what to do about it.
func explain(out io.Writer, err error) {
	fmt.Fprintln(out, err)
	var failure *gateway.Failure
	if !errors.As(err, &failure) {
		return
	}
	fmt.Fprintln(out, failure.Decision)
	for _, violation := range failure.Violations {
		fmt.Fprintf(out, "%s: %s\n", violation.GetField(), violation.GetDescription())
	}
	if failure.RetryAfter > 0 {
		fmt.Fprintf(out, "not before %v\n", failure.RetryAfter)
	}
	if failure.Rejected != nil {
		fmt.Fprintln(out, gateway.Hindrance(failure.Rejected))
	}
}
