package gateway

import (
	"context"

	pb "callrequest.internal/callrequest/v1"
	"google.golang.org/grpc"
)

// Client reads and cancels call requests. Every error of its methods is a *Failure.
//
// Give each call a context with a deadline of your own. Without one the service config's timeout holds.
type Client struct {
	service pb.CallRequestServiceClient
}

// NewClient calls over a channel made by Connect.
func NewClient(channel grpc.ClientConnInterface) *Client {
	return &Client{pb.NewCallRequestServiceClient(channel)}
}

// Read gives the latest result of a call request. The channel tries again by itself, within the deadline.
func (client *Client) Read(ctx context.Context, id string) (*pb.CallRequestResult, error) {
	answer, err := client.service.GetCallRequestResult(ctx, &pb.GetCallRequestResultRequest{CallRequestId: id})
	if err != nil {
		return nil, failedRead(ctx, err)
	}
	return answer.GetCallRequestResult(), nil
}

// Cancel keeps a hotel from being phoned. It is sent once: what to do when it fails is the caller's decision.
func (client *Client) Cancel(ctx context.Context, id string) (*pb.Cancellation, error) {
	answer, err := client.service.CancelCallRequest(ctx, &pb.CancelCallRequestRequest{CallRequestId: id})
	if err != nil {
		return nil, failedCancel(ctx, err)
	}
	return answer.GetCancellation(), nil
}
