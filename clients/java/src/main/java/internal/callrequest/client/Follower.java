package internal.callrequest.client;

import com.google.protobuf.Timestamp;
import internal.callrequest.v1.CallRequestResult;
import internal.callrequest.v1.CallRequestServiceGrpc;
import internal.callrequest.v1.CallRequestServiceGrpc.CallRequestServiceBlockingStub;
import internal.callrequest.v1.CallRequestStatus;
import internal.callrequest.v1.WatchCallRequestResultRequest;
import internal.callrequest.v1.WatchCallRequestResultResponse;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Comparator;
import java.util.Iterator;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** Follows a result to its end: hours, restarts of the gateway and broken connections included. */
public final class Follower {
  /**
   * How long a stream lasts at most: a gateway that is gone behind a proxy that still answers is
   * noticed by then, and a connection that is gone sooner, by the channel's pings.
   */
  private static final Duration ONE_STREAM = Duration.ofMinutes(10);

  /** Bounds of the pause, doubled after each stream that ended soon and brought no change. */
  private static final long FIRST_PAUSE_MILLIS = 200;

  private static final long MAX_PAUSE_MILLIS = 10_000;

  private static final Comparator<Timestamp> BY_TIME =
      Comparator.comparingLong(Timestamp::getSeconds).thenComparingInt(Timestamp::getNanos);

  private final CallRequestServiceBlockingStub gateway;

  /**
   * @param channel one for the whole program: {@link GatewayChannel#open}
   */
  public Follower(Channel channel) {
    this.gateway = CallRequestServiceGrpc.newBlockingStub(channel);
  }

  /**
   * Calls back with the result and with each change of it. Returns after a final one, or when the
   * callback returns false. What the callback throws ends it, too.
   *
   * @throws CallFailedException when waiting does not help, as when there is no such call request,
   *     and when the {@link Context} that it is called in is cancelled or its deadline is over, or
   *     the channel is shut down
   * @throws InterruptedException when its thread is interrupted, at whatever moment
   */
  public void follow(String callRequestId, Predicate<CallRequestResult> goesOn)
      throws CallFailedException, InterruptedException {
    var request =
        WatchCallRequestResultRequest.newBuilder().setCallRequestId(callRequestId).build();
    CallRequestResult last = null;
    for (int failures = 0; ; failures++) {
      long begun = System.nanoTime();
      boolean changed = false;
      Context.CancellableContext stream = Context.current().withCancellation();
      Context outer = stream.attach();
      try {
        Iterator<WatchCallRequestResultResponse> responses = watch(request);
        while (hasNext(responses)) {
          CallRequestResult result = responses.next().getCallRequestResult();
          // A new stream begins with the result as it is, and another gateway may know less.
          if (last != null && (isSame(result, last) || isOlder(result, last))) {
            continue;
          }
          last = result;
          changed = true;
          if (!goesOn.test(result)) {
            return;
          }
        }
        return;
      } catch (CallFailedException failure) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        if (failure.decision() != Decision.RETRY_LATER || outer.isCancelled() || isShutDown()) {
          throw failure;
        }
        if (changed || System.nanoTime() - begun > MAX_PAUSE_MILLIS * 1_000_000) {
          failures = 0;
        }
        pause(pauseAfter(failure, failures), outer);
      } finally {
        stream.detach(outer);
        stream.cancel(null);
      }
    }
  }

  /** Calls on a channel that the program has shut down fail as those of a gateway that ends do. */
  private boolean isShutDown() {
    return gateway.getChannel() instanceof ManagedChannel channel && channel.isShutdown();
  }

  private Iterator<WatchCallRequestResultResponse> watch(WatchCallRequestResultRequest request)
      throws CallFailedException {
    try {
      return gateway.withDeadlineAfter(ONE_STREAM).watchCallRequestResult(request);
    } catch (StatusRuntimeException e) { // at once, on a channel that is shut down
      throw CallFailedException.reading(e);
    }
  }

  private static boolean hasNext(Iterator<?> responses) throws CallFailedException {
    try {
      return responses.hasNext();
    } catch (StatusRuntimeException e) {
      throw CallFailedException.reading(e);
    }
  }

  /** Whether two results differ in nothing but when they were read. */
  private static boolean isSame(CallRequestResult one, CallRequestResult other) {
    return one.toBuilder()
        .clearObservedAt()
        .build()
        .equals(other.toBuilder().clearObservedAt().build());
  }

  /**
   * Whether one was read before the other, and the call request has come further since. The time
   * alone does not tell: the clocks of gateways differ.
   */
  private static boolean isOlder(CallRequestResult one, CallRequestResult other) {
    boolean isBefore =
        CallRequestStatus.CALL_REQUEST_STATUS_PENDING_TO_CALL_VALUE <= one.getStatusValue()
            && one.getStatusValue() < other.getStatusValue()
            && other.getStatusValue() <= CallRequestStatus.CALL_REQUEST_STATUS_CANCELLED_VALUE;
    return isBefore && BY_TIME.compare(one.getObservedAt(), other.getObservedAt()) < 0;
  }

  /** Ends sooner when the context ends. */
  private static void pause(Duration pause, Context context) throws InterruptedException {
    var ended = new CountDownLatch(1);
    Context.CancellationListener listener = ignored -> ended.countDown();
    context.addListener(listener, Runnable::run);
    try {
      ended.await(pause.toMillis(), TimeUnit.MILLISECONDS);
    } finally {
      context.removeListener(listener);
    }
  }

  private static Duration pauseAfter(CallFailedException failure, int failures) {
    long most = Math.min(FIRST_PAUSE_MILLIS << Math.min(failures, 6), MAX_PAUSE_MILLIS);
    Duration backoff = Duration.ofMillis(ThreadLocalRandom.current().nextLong(most));
    return failure.retryAfter().filter(wait -> wait.compareTo(backoff) > 0).orElse(backoff);
  }
}
