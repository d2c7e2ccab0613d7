package gateway

import (
	"context"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/grpc"
)

// Client reads, follows and cancels call requests. Every error is a *Failure, but for what a follower's own function
// returns.
//
// Pass a context with a deadline for each call. Without one the service config's timeout holds.
type Client struct {
	channel grpc.ClientConnInterface
	service pb.CallRequestServiceClient
}

// NewClient calls over a channel made by Connect.
func NewClient(channel grpc.ClientConnInterface) *Client {
	return &Client{channel, pb.NewCallRequestServiceClient(channel)}
}

// Read returns the latest result of a call request. The channel tries again by itself, within the deadline.
func (client *Client) Read(ctx context.Context, id string) (*pb.CallRequestResult, error) {
	answer, err := client.service.GetCallRequestResult(ctx, &pb.GetCallRequestResultRequest{CallRequestId: id})
	if err != nil {
		return nil, failedRead(ctx, err)
	}
	return answer.GetCallRequestResult(), nil
}

// Item is the answer for one id of a batch: a Result, or the Failure of its read.
type Item struct {
	ID      string
	Result  *pb.CallRequestResult // nil: see Failure
	Failure *Failure
}

// ReadMany returns an item for each of 1 to 100 ids, in their order. It fails only when all of it does.
func (client *Client) ReadMany(ctx context.Context, ids []string) ([]Item, error) {
	request := &pb.BatchGetCallRequestResultsRequest{CallRequestIds: ids}
	answer, err := client.service.BatchGetCallRequestResults(ctx, request)
	if err != nil {
		return nil, failedRead(ctx, err)
	}
	items := make([]Item, len(answer.GetItems()))
	for i, item := range answer.GetItems() {
		items[i] = Item{ID: item.GetCallRequestId(), Result: item.GetCallRequestResult()}
		if items[i].Result == nil {
			items[i].Failure = failedItem(item.GetError())
		}
	}
	return items, nil
}

// Cancel keeps a hotel from being phoned. It is sent once: what to do when it fails is the caller's decision.
func (client *Client) Cancel(ctx context.Context, id string) (*pb.Cancellation, error) {
	answer, err := client.service.CancelCallRequest(ctx, &pb.CancelCallRequestRequest{CallRequestId: id})
	if err != nil {
		return nil, failedCancel(ctx, err)
	}
	return answer.GetCancellation(), nil
}
