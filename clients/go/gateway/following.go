package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/grpc/status"
)

// oneStream is how long a stream lasts at most: a connection that is gone without a word is noticed by then.
const oneStream = 10 * time.Minute

// firstPause and maxPause bound the pause before the next stream, doubled with each stream that brought nothing.
const firstPause, maxPause = 200 * time.Millisecond, 10 * time.Second

// Follow calls each with the result, with every change and, after a gap, with the result again. It returns nil after
// a final one, through restarts of the gateway and broken connections; a *Failure when waiting does not help; the
// error of each, if it has one; and the context's, when that ends.
func (client *Client) Follow(ctx context.Context, id string, each func(*pb.CallRequestResult) error) error {
	for failures := 0; ; failures++ {
		received, err := client.watch(ctx, id, each)
		var failure *Failure
		if !errors.As(err, &failure) || ctx.Err() != nil {
			return err
		}
		if failure.Decision != RetryLater {
			return failure
		}
		if received {
			failures = 0
		}
		pause := max(failure.RetryAfter, rand.N(min(firstPause<<min(failures, 6), maxPause)))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return failedRead(ctx, status.FromContextError(ctx.Err()).Err())
		}
	}
}

// watch follows one stream to its end: nil after a final result. received: whether it brought anything.
func (client *Client) watch(ctx context.Context, id string, each func(*pb.CallRequestResult) error) (received bool, err error) {
	ctx, stop := context.WithTimeout(ctx, oneStream)
	defer stop()
	stream, err := client.service.WatchCallRequestResult(ctx, &pb.WatchCallRequestResultRequest{CallRequestId: id})
	if err != nil {
		return false, failedRead(ctx, err)
	}
	for {
		answer, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return received, nil
		case err != nil:
			return received, failedRead(ctx, err)
		}
		received = true
		if err := each(answer.GetCallRequestResult()); err != nil {
			return received, err
		}
	}
}
