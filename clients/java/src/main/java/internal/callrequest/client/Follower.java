package internal.callrequest.client;

import internal.callrequest.v1.CallRequestResult;
import internal.callrequest.v1.CallRequestServiceGrpc;
import internal.callrequest.v1.CallRequestServiceGrpc.CallRequestServiceBlockingStub;
import internal.callrequest.v1.WatchCallRequestResultRequest;
import internal.callrequest.v1.WatchCallRequestResultResponse;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;

/** Follows a result to its end: hours, restarts of the gateway and broken connections included. */
public final class Follower {
  /**
   * How long a stream lasts at most: a connection that is gone without a word is noticed by then.
   */
  private static final Duration ONE_STREAM = Duration.ofMinutes(10);

  private static final long FIRST_PAUSE_MILLIS = 200;
  private static final long MAX_PAUSE_MILLIS = 10_000;

  private final CallRequestServiceBlockingStub gateway;

  /**
   * @param channel one for the whole program: {@link GatewayChannel#open}
   */
  public Follower(Channel channel) {
    this.gateway = CallRequestServiceGrpc.newBlockingStub(channel);
  }

  /**
   * Calls back with the result, with each change and, after a gap, with the result again. Returns
   * after a final one, or when the callback returns false.
   *
   * @throws CallFailedException when waiting does not help, as when there is no such call request
   */
  public void follow(String callRequestId, Predicate<CallRequestResult> goesOn)
      throws CallFailedException, InterruptedException {
    var request =
        WatchCallRequestResultRequest.newBuilder().setCallRequestId(callRequestId).build();
    for (int failures = 0; ; failures++) {
      Context.CancellableContext stream = Context.current().withCancellation();
      Context outer = stream.attach();
      try {
        Iterator<WatchCallRequestResultResponse> responses =
            gateway.withDeadlineAfter(ONE_STREAM).watchCallRequestResult(request);
        while (responses.hasNext()) {
          failures = 0;
          if (!goesOn.test(responses.next().getCallRequestResult())) {
            return;
          }
        }
        return;
      } catch (StatusRuntimeException e) {
        CallFailedException failure = CallFailedException.reading(e);
        if (failure.decision() != Decision.RETRY_LATER) {
          throw failure;
        }
        Thread.sleep(pause(failure, failures).toMillis());
      } finally {
        stream.detach(outer);
        stream.cancel(null);
      }
    }
  }

  private static Duration pause(CallFailedException failure, int failures) {
    long most = Math.min(FIRST_PAUSE_MILLIS << Math.min(failures, 6), MAX_PAUSE_MILLIS);
    Duration backoff = Duration.ofMillis(ThreadLocalRandom.current().nextLong(most));
    return failure.retryAfter().filter(wait -> wait.compareTo(backoff) > 0).orElse(backoff);
  }
}
