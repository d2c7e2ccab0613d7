package internal.callrequest.client;

import internal.callrequest.v1.BatchGetCallRequestResultsRequest;
import internal.callrequest.v1.BatchItem;
import internal.callrequest.v1.CallRequestResult;
import internal.callrequest.v1.CallRequestServiceGrpc;
import internal.callrequest.v1.CallRequestServiceGrpc.CallRequestServiceBlockingStub;
import internal.callrequest.v1.CancelCallRequestRequest;
import internal.callrequest.v1.Cancellation;
import internal.callrequest.v1.GetCallRequestResultRequest;
import io.grpc.Channel;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.List;

/** Reads and cancels call requests, each within a deadline. */
public final class CallRequests {
  private final CallRequestServiceBlockingStub gateway;
  private final Duration deadline;

  /**
   * @param channel one for the whole program: {@link GatewayChannel#open}
   * @param deadline for each call, with all that the channel repeats of it
   */
  public CallRequests(Channel channel, Duration deadline) {
    this.gateway = CallRequestServiceGrpc.newBlockingStub(channel);
    this.deadline = deadline;
  }

  /** Reads the latest result. A call request that was not phoned yet has one, too. */
  public CallRequestResult result(String callRequestId) throws CallFailedException {
    var request = GetCallRequestResultRequest.newBuilder().setCallRequestId(callRequestId).build();
    try {
      return gateway
          .withDeadlineAfter(deadline)
          .getCallRequestResult(request)
          .getCallRequestResult();
    } catch (StatusRuntimeException e) {
      throw CallFailedException.reading(e);
    }
  }

  /**
   * Reads 1 to 100 results at once.
   *
   * @return an item for each id, in their order: its result, or an error for {@link Decision#about}
   */
  public List<BatchItem> results(List<String> callRequestIds) throws CallFailedException {
    var request =
        BatchGetCallRequestResultsRequest.newBuilder().addAllCallRequestIds(callRequestIds).build();
    try {
      return gateway.withDeadlineAfter(deadline).batchGetCallRequestResults(request).getItemsList();
    } catch (StatusRuntimeException e) {
      throw CallFailedException.reading(e);
    }
  }

  /** Cancels, so that the hotel is not phoned. To cancel again is safe. */
  public Cancellation cancel(String callRequestId) throws CallFailedException {
    var request = CancelCallRequestRequest.newBuilder().setCallRequestId(callRequestId).build();
    try {
      return gateway.withDeadlineAfter(deadline).cancelCallRequest(request).getCancellation();
    } catch (StatusRuntimeException e) {
      throw CallFailedException.cancelling(e);
    }
  }
}
