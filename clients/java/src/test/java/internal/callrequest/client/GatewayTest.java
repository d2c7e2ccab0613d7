package internal.callrequest.client;

import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.abort;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.BadRequest.FieldViolation;
import com.google.rpc.ErrorInfo;
import internal.callrequest.v1.BatchItem;
import internal.callrequest.v1.CallRequestResult;
import internal.callrequest.v1.CallRequestStatus;
import internal.callrequest.v1.CallStatus;
import internal.callrequest.v1.CallType;
import internal.callrequest.v1.Cancellation;
import internal.callrequest.v1.CancellationOutcome;
import internal.callrequest.v1.CancellationRejected;
import internal.callrequest.v1.CancellationRejectionReason;
import internal.callrequest.v1.ErrorReason;
import internal.callrequest.v1.UnrecognizedValue;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Against a running gateway, which environment variables name. How to start it: README. */
class GatewayTest {
  private static final Duration DEADLINE = Duration.ofSeconds(10);

  private final List<ManagedChannel> channels = new ArrayList<>();

  @AfterEach
  void closeChannels() {
    channels.forEach(ManagedChannel::shutdownNow);
  }

  /** What came of a call is an enum, and absent before the call. */
  @Test
  void reads_a_typed_outcome() throws Exception {
    CallRequestResult verified = gateway().result("77b2c4d5e6f7g890");
    assertEquals(CallRequestStatus.CALL_REQUEST_STATUS_COMPLETED, verified.getStatus());
    assertEquals(
        CallType.CALL_TYPE_AUTHORIZATION_VERIFICATION, verified.getOutcome().getCallType());
    assertEquals(CallStatus.CALL_STATUS_SUCCESS, verified.getOutcome().getCallStatus());
    assertEquals(
        "The hotel was phoned.\nThe booking and its payment authorization: verified.",
        Answers.describe(verified));

    CallRequestResult pending = gateway().result("statusPending001");
    assertEquals(CallRequestStatus.CALL_REQUEST_STATUS_PENDING_TO_CALL, pending.getStatus());
    assertFalse(pending.hasOutcome());
  }

  /** A word that the contract does not know leaves its field UNSPECIFIED and is shown. */
  @Test
  void shows_unrecognized_values() throws Exception {
    CallRequestResult result = gateway().result("q14NewWords00001");
    assertEquals(CallType.CALL_TYPE_UNSPECIFIED, result.getOutcome().getCallType());
    assertTrue(
        result
            .getUnrecognizedValuesList()
            .contains(
                UnrecognizedValue.newBuilder()
                    .setField("outcome.call_type")
                    .setValue("GROUP_VERIFICATION")
                    .build()));
    assertTrue(Answers.describe(result).contains("outcome.call_type is new: GROUP_VERIFICATION"));
  }

  /** The second cancel of a call request succeeds, with ALREADY_CANCELLED as its outcome. */
  @Test
  void cancels_once_and_again() throws Exception {
    String id = sandbox().callRequest(Map.of());
    Cancellation first = gateway().cancel(id);
    assertEquals(CancellationOutcome.CANCELLATION_OUTCOME_CANCELLED, first.getOutcome());
    assertEquals("Cancelled.", Answers.describe(first));

    Cancellation second = gateway().cancel(id);
    assertEquals(CancellationOutcome.CANCELLATION_OUTCOME_ALREADY_CANCELLED, second.getOutcome());
    assertEquals("It had been cancelled before.", Answers.describe(second));
  }

  /** A cancel that comes too late has a reason. */
  @Test
  void tells_rejections_apart() {
    CancellationRejected checkedIn = rejectionOf("cancelCheckedIn1");
    assertEquals(
        CancellationRejectionReason.CANCELLATION_REJECTION_REASON_CHECK_IN_PASSED,
        checkedIn.getReason());
    assertEquals("Too late: the check-in is past.", Answers.describe(checkedIn));

    CancellationRejected inProgress = rejectionOf("cancelInProgress");
    assertEquals(
        CancellationRejectionReason.CANCELLATION_REJECTION_REASON_CALL_IN_PROGRESS,
        inProgress.getReason());
    assertEquals("Too late: the hotel is being phoned.", Answers.describe(inProgress));

    CancellationRejected completed = rejectionOf("cancelCompleted1");
    assertEquals(
        CancellationRejectionReason.CANCELLATION_REJECTION_REASON_CALL_COMPLETED,
        completed.getReason());
    assertEquals("Too late: the hotel was phoned.", Answers.describe(completed));
  }

  /** A failure names the wrong field, or how long to wait. */
  @Test
  void decodes_error_details() throws Exception {
    CallRequests gateway = gateway();
    CallFailedException wrong = failureOf(() -> gateway.result("../etc/passwd"));
    assertEquals(Optional.of("INVALID_REQUEST"), wrong.reason());
    assertEquals(
        List.of("call_request_id"),
        wrong.violations().stream().map(FieldViolation::getField).toList());
    assertEquals(Decision.FIX_REQUEST, wrong.decision());

    String id = sandbox().callRequest(Map.of("fault", "too_many_requests", "seconds", 7));
    CallFailedException limited = failureOf(() -> gateway.result(id));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, limited.code());
    assertEquals(Optional.of("VENDOR_RATE_LIMITED"), limited.reason());
    assertEquals(Optional.of(Duration.ofSeconds(7)), limited.retryAfter());
    assertEquals(Decision.RETRY_LATER, limited.decision());
  }

  /** Each reason of the contract has a decision, and so has a gateway that is not there. */
  @Test
  void decides_for_every_reason() {
    Set<String> undecided =
        ErrorReason.getDescriptor().getValues().stream()
            .map(reason -> reason.getName().replaceFirst("^ERROR_REASON_", ""))
            .filter(reason -> Decision.about(reason).isEmpty())
            .collect(toSet());
    assertEquals(Set.of("UNSPECIFIED"), undecided); // which is never sent

    CallRequests nobody = calls(open("127.0.0.1:1", GatewayChannel.plaintext()));
    assertEquals(
        Decision.RETRY_LATER, failureOf(() -> nobody.result("statusPending001")).decision());
    assertEquals(
        Decision.READ_RESULT, failureOf(() -> nobody.cancel("statusPending001")).decision());
  }

  /** A cancel may have been sent when the gateway failed by a defect, or gave no reason. */
  @Test
  void decides_for_a_cancel_that_may_have_been_sent() {
    StatusRuntimeException defect = failed(Status.Code.INTERNAL, "INTERNAL");
    assertEquals(Decision.ALERT_OPERATORS, CallFailedException.reading(defect).decision());
    assertEquals(Decision.READ_RESULT, CallFailedException.cancelling(defect).decision());

    StatusRuntimeException ended = Status.CANCELLED.asRuntimeException();
    assertEquals(Decision.RETRY_LATER, CallFailedException.reading(ended).decision());
    assertEquals(Decision.READ_RESULT, CallFailedException.cancelling(ended).decision());
    Context.CancellableContext givenUp = Context.current().withCancellation();
    givenUp.cancel(null);
    givenUp.run(
        () ->
            assertEquals(Decision.ALERT_OPERATORS, CallFailedException.reading(ended).decision()));

    StatusRuntimeException late = Status.DEADLINE_EXCEEDED.asRuntimeException();
    assertEquals(Decision.READ_RESULT, CallFailedException.cancelling(late).decision());

    StatusRuntimeException answered = failed(Status.Code.CANCELLED, "OF_TOMORROW");
    assertEquals(Decision.ALERT_OPERATORS, CallFailedException.reading(answered).decision());
    assertEquals(Decision.ALERT_OPERATORS, CallFailedException.cancelling(answered).decision());
    StatusRuntimeException unsent = failed(Status.Code.UNAVAILABLE, "VENDOR_UNAVAILABLE");
    assertEquals(Decision.RETRY_LATER, CallFailedException.cancelling(unsent).decision());
  }

  /** A call ends in its time, whatever the vendor does. */
  @Test
  void keeps_its_deadline() throws Exception {
    String id = sandbox().callRequest(Map.of("fault", "hang", "seconds", 30));
    var hasty = new CallRequests(channel(), Duration.ofSeconds(1));
    long begun = System.nanoTime();
    CallFailedException late = failureOf(() -> hasty.result(id));
    Duration taken = Duration.ofNanos(System.nanoTime() - begun);
    assertEquals(Status.Code.DEADLINE_EXCEEDED, late.code());
    assertEquals(Decision.RETRY_LATER, late.decision());
    assertTrue(taken.toMillis() > 800 && taken.toMillis() < 4000, taken.toString());
  }

  /** The token goes with each call over TLS, and never without. */
  @Test
  void sends_its_identity() throws Exception {
    String target = required("CALL_REQUEST_GATEWAY_TLS");
    var authorities = new File(required("CALL_REQUEST_CA"));
    String token = required("CALL_REQUEST_TOKEN");

    CallRequests known = calls(open(target, GatewayChannel.tls(authorities, token)));
    assertTrue(known.result("77b2c4d5e6f7g890").hasOutcome());

    CallRequests unknown = calls(open(target, GatewayChannel.tls(authorities)));
    CallFailedException unauthenticated = failureOf(() -> unknown.result("77b2c4d5e6f7g890"));
    assertEquals(Status.Code.UNAUTHENTICATED, unauthenticated.code());
    assertEquals(Optional.of("CALLER_UNAUTHENTICATED"), unauthenticated.reason());

    ChannelCredentials readable =
        CompositeChannelCredentials.create(
            GatewayChannel.plaintext(), new GatewayChannel.BearerToken(token));
    CallRequests careless = calls(open(required("CALL_REQUEST_GATEWAY"), readable, Map.of()));
    CallFailedException kept = failureOf(() -> careless.result("77b2c4d5e6f7g890"));
    assertEquals(
        "UNAUTHENTICATED without a reason: a token is only sent over TLS", kept.getMessage());

    String readers = required("CALL_REQUEST_READER_TOKEN");
    CallRequests reader = calls(open(target, GatewayChannel.tls(authorities, readers)));
    CallFailedException forbidden = failureOf(() -> reader.cancel("66a1b2c3d4e5f678"));
    assertEquals(Optional.of("CALLER_FORBIDDEN"), forbidden.reason());
    assertEquals(Decision.ALERT_OPERATORS, forbidden.decision());
  }

  /** A read outlasts a failure by the service config alone. */
  @Test
  void retries_reads_by_service_config() throws Exception {
    // The gateway itself asks the vendor three times for one call.
    Map<String, ?> plan = Map.of("fault", "unavailable", "times", 3);
    assertTrue(gateway().result(sandbox().callRequest(plan)).hasObservedAt());

    CallRequests without =
        calls(open(required("CALL_REQUEST_GATEWAY"), GatewayChannel.plaintext(), Map.of()));
    String id = sandbox().callRequest(plan);
    CallFailedException failure = failureOf(() -> without.result(id));
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
  }

  /** The channel repeats no cancel. */
  @Test
  void sends_a_cancel_once() throws Exception {
    CallRequests gateway = gateway();
    Sandbox sandbox = sandbox();
    String id = sandbox.callRequest(Map.of());
    sandbox.fault(Map.of("operation", "token", "fault", "unavailable"));
    try {
      sandbox.revokeTokens();
      int before = sandbox.asked("token");
      CallFailedException failure = failureOf(() -> gateway.cancel(id));
      assertEquals(Status.Code.UNAVAILABLE, failure.code());
      // So often one call asks for a token.
      assertTrue(sandbox.asked("token") - before <= 3);
    } finally {
      sandbox.clearFaults();
    }
  }

  /** No call goes to a gateway whose health is not SERVING. */
  @Test
  void watches_health() throws Exception {
    assertTrue(gateway().result("statusPending001").hasObservedAt());

    Map<String, Object> config = GatewayChannel.recommendedServiceConfig();
    config.put("healthCheckConfig", Map.of("serviceName", "of.another.Gateway"));
    CallRequests elsewhere =
        calls(open(required("CALL_REQUEST_GATEWAY"), GatewayChannel.plaintext(), config));
    int before = sandbox().asked("result");
    CallFailedException failure = failureOf(() -> elsewhere.result("statusPending001"));
    assertEquals(Status.Code.UNAVAILABLE, failure.code());
    assertEquals(before, sandbox().asked("result"));
  }

  /** What a later version sends breaks nothing, and is not lost. */
  @Test
  void meets_the_unknown() throws Exception {
    CallRequests later =
        calls(open(required("CALL_REQUEST_GATEWAY_NEXT"), GatewayChannel.plaintext()));
    CallRequestResult result = later.result("nextVersion00001");
    assertEquals(CallRequestStatus.UNRECOGNIZED, result.getStatus());
    assertEquals(CallType.UNRECOGNIZED, result.getOutcome().getCallType());
    assertTrue(Answers.describe(result).startsWith("In a status that this program does not know."));

    CallRequestResult passedOn = CallRequestResult.parseFrom(result.toByteArray());
    assertEquals(99, passedOn.getStatusValue());
    assertEquals(
        List.of(ByteString.copyFromUtf8("tomorrow")),
        passedOn.getUnknownFields().getField(900).getLengthDelimitedList());

    CallFailedException failure = failureOf(() -> later.result("nextVersion00002"));
    assertEquals(Optional.of("VENDOR_ON_THE_MOON"), failure.reason());
    assertEquals(Decision.RETRY_LATER, failure.decision());
  }

  /** Each status in turn; what waiting does not mend ends it at once, and so does its caller. */
  @Test
  void follows_to_the_end() throws Exception {
    String id = sandbox().callRequest(Map.of("call_in", 1.5, "call_takes", 1.5));
    assertEquals(
        List.of(
            CallRequestStatus.CALL_REQUEST_STATUS_PENDING_TO_CALL,
            CallRequestStatus.CALL_REQUEST_STATUS_IN_PROGRESS,
            CallRequestStatus.CALL_REQUEST_STATUS_COMPLETED),
        followed(channel(), id));

    var follower = new Follower(channel());
    CallFailedException unknown =
        failureOf(() -> follower.follow("unknownToVendor1", result -> true));
    assertEquals(Optional.of("CALL_REQUEST_NOT_FOUND"), unknown.reason());
    follower.follow("statusPending001", result -> false);

    StatusRuntimeException own = Status.UNAVAILABLE.asRuntimeException(); // of another call
    assertEquals(
        own,
        assertThrows(
            StatusRuntimeException.class,
            () ->
                follower.follow(
                    "statusPending001",
                    result -> {
                      throw own;
                    })));
  }

  /** The deadline of the Context around it ends it, while nothing changes and between streams. */
  @Test
  void the_context_ends_following() throws Exception {
    ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
    try {
      for (Map.Entry<String, ManagedChannel> each : silences().entrySet()) {
        Context.CancellableContext given =
            Context.current().withDeadlineAfter(500, TimeUnit.MILLISECONDS, clock);
        Executable following =
            () -> new Follower(each.getValue()).follow(each.getKey(), result -> true);
        CallFailedException failure =
            assertTimeoutPreemptively(
                Duration.ofSeconds(30), () -> given.call(() -> failureOf(following)));
        assertEquals(Decision.RETRY_LATER, failure.decision());
        given.cancel(null);
      }
    } finally {
      clock.shutdown();
    }
  }

  /** A program that shuts its channel down does not follow for ever. */
  @Test
  void shutting_the_channel_down_ends_following() throws Exception {
    ManagedChannel nobody = open("127.0.0.1:1", GatewayChannel.plaintext());
    CompletableFuture.delayedExecutor(500, TimeUnit.MILLISECONDS).execute(nobody::shutdownNow);
    Executable following = () -> new Follower(nobody).follow("statusPending001", result -> true);
    assertTimeoutPreemptively(Duration.ofSeconds(60), () -> failureOf(following));
  }

  /** An interrupt of its thread ends it, while nothing changes and between streams. */
  @Test
  void an_interrupt_ends_following() throws Exception {
    for (Map.Entry<String, ManagedChannel> each : silences().entrySet()) {
      var ended = new CompletableFuture<Throwable>();
      var following =
          new Thread(
              () -> {
                try {
                  new Follower(each.getValue()).follow(each.getKey(), result -> true);
                } catch (Throwable e) {
                  ended.complete(e);
                }
              });
      following.start();
      Thread.sleep(500);
      following.interrupt();
      assertInstanceOf(InterruptedException.class, ended.get(10, TimeUnit.SECONDS));
    }
  }

  /** Call requests of which there is nothing new: nobody is there, or the pause is of minutes. */
  private Map<String, ManagedChannel> silences() {
    ChannelCredentials plaintext = GatewayChannel.plaintext();
    return Map.of(
        "statusPending001", channel(),
        "nobodyIsThere001", open("127.0.0.1:1", plaintext),
        "waitTooLong00001", open(required("CALL_REQUEST_GATEWAY_FLAWED"), plaintext));
  }

  /** A gateway that ends the stream is watched again, when it asks to; each result comes once. */
  @Test
  void follows_through_reconnects() throws Exception {
    String id = sandbox().callRequest(Map.of("call_in", 4, "call_takes", 0.1));
    ManagedChannel restless =
        open(required("CALL_REQUEST_GATEWAY_RESTLESS"), GatewayChannel.plaintext());
    List<CallRequestStatus> statuses = followed(restless, id);
    assertEquals(
        CallRequestStatus.CALL_REQUEST_STATUS_COMPLETED, statuses.get(statuses.size() - 1));
    assertTrue(statuses.size() >= 2, statuses.toString());
    assertEquals(statuses.stream().distinct().toList(), statuses);
  }

  /** A connection that is gone without a word is noticed, and the result followed on another. */
  @Test
  void follows_through_silence() throws Exception {
    String id = sandbox().callRequest(Map.of("call_in", 4, "call_takes", 0.1));
    ManagedChannel silent =
        open(required("CALL_REQUEST_GATEWAY_SILENT"), GatewayChannel.plaintext());
    long begun = System.nanoTime();
    assertEquals(
        List.of(
            CallRequestStatus.CALL_REQUEST_STATUS_PENDING_TO_CALL,
            CallRequestStatus.CALL_REQUEST_STATUS_COMPLETED),
        followed(silent, id));
    assertTrue(Duration.ofNanos(System.nanoTime() - begun).toSeconds() < 90);
  }

  /** What breaks the contract neither stops it nor leads it back, nor makes it call without end. */
  @Test
  void follows_a_flawed_gateway() throws Exception {
    ManagedChannel flawed =
        open(required("CALL_REQUEST_GATEWAY_FLAWED"), GatewayChannel.plaintext());
    List<CallRequestStatus> once =
        List.of(
            CallRequestStatus.CALL_REQUEST_STATUS_PENDING_TO_CALL,
            CallRequestStatus.CALL_REQUEST_STATUS_COMPLETED);
    assertEquals(once, followed(flawed, "badDetails000001"));
    assertEquals(once, followed(flawed, "endsAndEnds00001"));
    assertEquals(
        List.of(
            CallRequestStatus.CALL_REQUEST_STATUS_IN_PROGRESS,
            CallRequestStatus.CALL_REQUEST_STATUS_COMPLETED),
        followed(flawed, "olderResult00001"));
    CallFailedException waiting =
        failureOf(() -> new CallRequests(flawed, DEADLINE).result("waitTooLong00001"));
    assertEquals(Optional.of(CallFailedException.MAX_RETRY_AFTER), waiting.retryAfter());
  }

  /** Each id has a result or an error with its decision, in order. */
  @Test
  void reads_many_at_once() throws Exception {
    List<BatchItem> items =
        gateway().results(List.of("statusPending001", "not an id", "unknownToVendor1"));
    assertEquals(3, items.size());
    assertEquals("statusPending001", items.get(0).getCallRequestResult().getCallRequestId());
    assertEquals(
        List.of(
            ErrorReason.ERROR_REASON_INVALID_REQUEST,
            ErrorReason.ERROR_REASON_CALL_REQUEST_NOT_FOUND),
        items.stream()
            .filter(BatchItem::hasError)
            .map(each -> each.getError().getReason())
            .toList());
    assertEquals(Decision.FIX_REQUEST, Decision.about(items.get(1).getError()));
    CallFailedException none = failureOf(() -> gateway().results(List.of()));
    assertEquals(Optional.of("INVALID_REQUEST"), none.reason());
  }

  private static List<CallRequestStatus> followed(ManagedChannel channel, String id)
      throws Exception {
    List<CallRequestStatus> statuses = new ArrayList<>();
    new Follower(channel).follow(id, result -> statuses.add(result.getStatus()));
    return statuses;
  }

  private CallRequests gateway() {
    return calls(channel());
  }

  private ManagedChannel channel() {
    return open(required("CALL_REQUEST_GATEWAY"), GatewayChannel.plaintext());
  }

  private ManagedChannel open(String target, ChannelCredentials credentials) {
    return closedAtTheEnd(GatewayChannel.open(target, credentials));
  }

  private ManagedChannel open(
      String target, ChannelCredentials credentials, Map<String, ?> serviceConfig) {
    return closedAtTheEnd(
        Grpc.newChannelBuilder(target, credentials).defaultServiceConfig(serviceConfig).build());
  }

  private ManagedChannel closedAtTheEnd(ManagedChannel channel) {
    channels.add(channel);
    return channel;
  }

  private static CallRequests calls(ManagedChannel channel) {
    return new CallRequests(channel, DEADLINE);
  }

  private static Sandbox sandbox() {
    return new Sandbox(required("CALL_REQUEST_SANDBOX"));
  }

  private CancellationRejected rejectionOf(String id) {
    CallRequests gateway = gateway();
    CallFailedException failure = failureOf(() -> gateway.cancel(id));
    assertEquals(Optional.of("CANCELLATION_NOT_ALLOWED"), failure.reason());
    assertEquals(Decision.READ_RESULT, failure.decision());
    return failure.rejection().orElseThrow();
  }

  private static StatusRuntimeException failed(Status.Code code, String reason) {
    var info = ErrorInfo.newBuilder().setDomain("callrequest.v1").setReason(reason);
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.value())
            .addDetails(Any.pack(info.build()))
            .build());
  }

  private static CallFailedException failureOf(Executable call) {
    return assertThrows(CallFailedException.class, call);
  }

  private static String required(String variable) {
    String value = System.getenv(variable);
    if (value == null) {
      String missing = variable + " is not set";
      return "1".equals(System.getenv("REQUIRE_ALL")) ? fail(missing) : abort(missing);
    }
    return value;
  }
}
