package internal.callrequest.client;

import internal.callrequest.v1.CallRequestResult;
import io.grpc.ChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;

/** Prints what became of a call request, follows it to its end, or cancels it. */
public final class Main {
  private static final String USAGE = "usage: result | follow | cancel, and a call request id";
  private static final Duration DEADLINE = Duration.ofSeconds(10);

  private Main() {}

  public static void main(String[] args) throws IOException, InterruptedException {
    System.exit(run(args, System.getenv()));
  }

  private static int run(String[] args, Map<String, String> environment)
      throws IOException, InterruptedException {
    if (args.length != 2) {
      System.err.println(USAGE);
      return 2;
    }
    String target = environment.getOrDefault("CALL_REQUEST_GATEWAY", "127.0.0.1:50051");
    ManagedChannel channel = GatewayChannel.open(target, credentials(environment));
    try {
      var callRequests = new CallRequests(channel, DEADLINE);
      switch (args[0]) {
        case "result" -> System.out.println(Answers.describe(callRequests.result(args[1])));
        case "follow" -> new Follower(channel).follow(args[1], Main::print);
        case "cancel" -> System.out.println(Answers.describe(callRequests.cancel(args[1])));
        default -> {
          System.err.println(USAGE);
          return 2;
        }
      }
      return 0;
    } catch (CallFailedException e) {
      report(e);
      return 1;
    } finally {
      channel.shutdownNow();
    }
  }

  private static boolean print(CallRequestResult result) {
    System.out.println(Answers.describe(result));
    return true;
  }

  private static ChannelCredentials credentials(Map<String, String> environment)
      throws IOException {
    String authorities = environment.get("CALL_REQUEST_CA");
    String token = environment.get("CALL_REQUEST_TOKEN");
    if (authorities == null) {
      return GatewayChannel.plaintext();
    }
    return token == null
        ? GatewayChannel.tls(new File(authorities))
        : GatewayChannel.tls(new File(authorities), token);
  }

  private static void report(CallFailedException failure) {
    System.err.println(failure.getMessage());
    failure
        .violations()
        .forEach(wrong -> System.err.println(wrong.getField() + ": " + wrong.getDescription()));
    failure.rejection().map(Answers::describe).ifPresent(System.err::println);
    failure.retryAfter().ifPresent(wait -> System.err.println("wait: " + wait.toMillis() + " ms"));
    System.err.println(failure.decision());
  }
}
