package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// oneStream is how long a stream lasts at most: a gateway that is gone behind a proxy that still answers is noticed by
// then, and a connection that is gone sooner, by the channel's pings.
const oneStream = 10 * time.Minute

// firstPause and maxPause bound the pause before the next stream, doubled with each that ended soon and brought no change.
const firstPause, maxPause = 200 * time.Millisecond, 10 * time.Second

// Follow calls each with the result and with every change of it. It returns nil after a final one, through restarts of
// the gateway and broken connections; a *Failure when waiting does not help; the error of each, if it has one; and when
// the context ends a *Failure that is that end: errors.Is(err, context.Canceled) or context.DeadlineExceeded. When the
// program closes the channel it returns a *Failure, too.
func (client *Client) Follow(ctx context.Context, id string, each func(*pb.CallRequestResult) error) error {
	var last *pb.CallRequestResult
	var changed bool // by the stream
	onResult := func(result *pb.CallRequestResult) error {
		// A new stream begins with the result as it is, and another gateway may know less.
		if last != nil && (isSame(last, result) || isOlder(result, last)) {
			return nil
		}
		last, changed = result, true
		return each(result)
	}
	for failures := 0; ; failures++ {
		begun := time.Now()
		changed = false
		failure, err := client.watch(ctx, id, onResult)
		if failure == nil {
			return err
		}
		if failure.Decision != RetryLater || client.isClosed() {
			return failure
		}
		if changed || time.Since(begun) > maxPause {
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

// watch follows one stream to its end. A failure is the stream's; err is that of each; neither: the result is final.
func (client *Client) watch(
	ctx context.Context, id string, each func(*pb.CallRequestResult) error,
) (*Failure, error) {
	ctx, stop := context.WithTimeout(ctx, oneStream)
	defer stop()
	stream, err := client.service.WatchCallRequestResult(ctx, &pb.WatchCallRequestResultRequest{CallRequestId: id})
	if err != nil {
		return failedRead(ctx, err), nil
	}
	for {
		answer, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return failedRead(ctx, err), nil
		}
		if err := each(answer.GetCallRequestResult()); err != nil {
			return nil, err
		}
	}
}

// isClosed reports whether the program has closed the channel. Its calls fail as those of a gateway that ends do.
func (client *Client) isClosed() bool {
	channel, hasState := client.channel.(interface{ GetState() connectivity.State })
	return hasState && channel.GetState() == connectivity.Shutdown
}

// isSame reports whether two results differ in nothing but when they were read.
func isSame(one, other *pb.CallRequestResult) bool {
	one, other = proto.CloneOf(one), proto.CloneOf(other)
	one.ObservedAt, other.ObservedAt = nil, nil
	return proto.Equal(one, other)
}

// isOlder reports whether one was read before the other, and the call request has come further since. The time alone does
// not tell: the clocks of gateways differ.
func isOlder(one, other *pb.CallRequestResult) bool {
	first, last := pb.CallRequestStatus_CALL_REQUEST_STATUS_PENDING_TO_CALL, pb.CallRequestStatus_CALL_REQUEST_STATUS_CANCELLED
	if first > one.GetStatus() || one.GetStatus() >= other.GetStatus() || other.GetStatus() > last {
		return false
	}
	return one.GetObservedAt().AsTime().Before(other.GetObservedAt().AsTime())
}
