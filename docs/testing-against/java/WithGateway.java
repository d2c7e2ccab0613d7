import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** Tests against a gateway of their own, whose vendor is the sandbox. */
class WithGateway {

  /** A gateway on free ports, with control of the sandbox behind it. In JUnit: a static field, made once. */
  static final class Gateway implements AutoCloseable {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    final String address = freeAddress();
    private final String webhook = freeAddress();
    private final String sandbox;
    private final Process process;

    Gateway() throws IOException, InterruptedException {
      String ready = freeAddress();
      String sandboxAddress = freeAddress();
      sandbox = "http://" + sandboxAddress + "/sandbox";
      String command = System.getenv().getOrDefault("GATEWAY_COMMAND", "call-request-gateway serve");
      ProcessBuilder builder = new ProcessBuilder(command.split(" ")).inheritIO();
      builder.environment().putAll(Map.of(
          "GATEWAY_LISTEN", address,
          "GATEWAY_METRICS_LISTEN", ready,
          "GATEWAY_SANDBOX_LISTEN", sandboxAddress,
          "GATEWAY_DEFAULT_MAX_AGE", "0", // every read asks the sandbox, so that a change is seen at once
          "GATEWAY_FINAL_MAX_AGE", "0",
          "GATEWAY_DRAIN_DELAY", "0",
          "GATEWAY_WATCH_PENDING_INTERVAL", "0.2", // so soon a watcher sees it
          "GATEWAY_WATCH_IN_PROGRESS_INTERVAL", "0.2",
          "GATEWAY_WEBHOOK_LISTEN", webhook,
          "GATEWAY_WEBHOOK_TOKENS", "a-token-of-the-vendor"));
      process = builder.start();
      waitUntilReady(URI.create("http://" + ready + "/ready"));
    }

    /** Makes a call request; its fields are in docs/sandbox.md. */
    void callRequest(String id, String fields) throws IOException, InterruptedException {
      control("PUT", "/call-requests/" + id, fields);
    }

    /** Moves the sandbox's clock, and with it every call request's life. */
    void advance(Duration by) throws IOException, InterruptedException {
      control("POST", "/clock", "{\"advance\": " + by.toSeconds() + "}");
    }

    /** Has the vendor fail. */
    void fault(String fields) throws IOException, InterruptedException {
      control("POST", "/faults", fields);
    }

    /** Brings the sandbox back to its start. */
    void reset() throws IOException, InterruptedException {
      control("POST", "/reset", "{}");
    }

    /** The field of a call request whose result the vendor is to push. */
    String webhook() {
      String url = "http://" + webhook + "/webhooks/call-request-completed";
      return "\"webhook\": {\"url\": \"" + url + "\", \"token\": \"a-token-of-the-vendor\"}";
    }

    /** The latest pushes, as JSON: the id of each, and the HTTP status that the webhook answered with. */
    String pushes() throws IOException, InterruptedException {
      return control("GET", "/pushes", "");
    }

    @Override
    public void close() throws InterruptedException {
      process.destroy();
      process.waitFor(35, TimeUnit.SECONDS);
    }

    private String control(String method, String path, String body) throws IOException, InterruptedException {
      URI uri = URI.create(sandbox + path);
      var request = HttpRequest.newBuilder(uri).method(method, BodyPublishers.ofString(body)).build();
      var answer = HTTP.send(request, BodyHandlers.ofString());
      if (answer.statusCode() >= 300) {
        throw new IOException(method + " " + path + ": " + answer.statusCode() + " " + answer.body());
      }
      return answer.body();
    }

    /** None of the ports that the kernel assigns: another program could get it before the gateway does. */
    private static String freeAddress() {
      while (true) {
        int port = ThreadLocalRandom.current().nextInt(20_000, 32_000);
        try (ServerSocket bound = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
          return "127.0.0.1:" + bound.getLocalPort();
        } catch (IOException taken) {
          // Another one below.
        }
      }
    }

    private void waitUntilReady(URI uri) throws InterruptedException {
      Instant latest = Instant.now().plusSeconds(20);
      while (process.isAlive() && Instant.now().isBefore(latest)) {
        try {
          var answer = HTTP.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.discarding());
          if (answer.statusCode() == 200) {
            return;
          }
        } catch (IOException notListeningYet) {
          // Asked again below.
        }
        Thread.sleep(50);
      }
      process.destroy();
      throw new IllegalStateException("the gateway ended, or was not ready after 20 s: stderr has why");
    }
  }

  static void theResultFollowsTheCall(Gateway gateway) throws Exception {
    gateway.reset();
    gateway.callRequest("hotelIsPhoned001", "{\"call_in\": 3600, \"call_takes\": 60}");
    expect("CALL_REQUEST_STATUS_PENDING_TO_CALL", read(gateway, "hotelIsPhoned001"));
    gateway.advance(Duration.ofHours(1));
    expect("CALL_REQUEST_STATUS_IN_PROGRESS", read(gateway, "hotelIsPhoned001"));
    gateway.advance(Duration.ofMinutes(1));
    expect("CALL_STATUS_SUCCESS", read(gateway, "hotelIsPhoned001"));
  }

  static void anOutageOfTheVendorIsTold(Gateway gateway) throws Exception {
    gateway.reset();
    gateway.callRequest("hotelIsPhoned001", "{\"status\": \"COMPLETED\"}");
    gateway.fault("{\"operation\": \"result\", \"fault\": \"unavailable\"}");
    expect("VENDOR_UNAVAILABLE", read(gateway, "hotelIsPhoned001"));
  }

  static void aWatcherSeesTheCallBeginAndEnd(Gateway gateway) throws Exception {
    gateway.reset();
    gateway.callRequest("hotelIsPhoned001", "{\"call_in\": 3600, \"call_takes\": 60}");
    Process watch = call(gateway, "WatchCallRequestResult", "hotelIsPhoned001");
    try (BufferedReader printed = watch.inputReader()) {
      until("CALL_REQUEST_STATUS_PENDING_TO_CALL", printed);
      gateway.advance(Duration.ofHours(1));
      until("CALL_REQUEST_STATUS_IN_PROGRESS", printed);
      gateway.advance(Duration.ofMinutes(1));
      until("CALL_STATUS_SUCCESS", printed);
      printed.lines().forEach(rest -> {});
    }
    if (watch.waitFor() != 0) {
      throw new AssertionError("a final result ends it well, not with " + watch.exitValue());
    }
  }

  static void theVendorPushesTheResult(Gateway gateway) throws Exception {
    gateway.reset();
    gateway.callRequest("resultIsPushed01", "{\"call_in\": 3600, \"call_takes\": 60, " + gateway.webhook() + "}");
    gateway.advance(Duration.ofMinutes(61));
    Instant latest = Instant.now().plusSeconds(20);
    while (!gateway.pushes().contains("\"status\": 202")) { // it was not signed: the gateway reads the result
      if (Instant.now().isAfter(latest)) {
        throw new AssertionError(gateway.pushes());
      }
      Thread.sleep(50);
    }
  }

  static void expect(String word, String in) {
    if (!in.contains(word)) {
      throw new AssertionError("no " + word + " in " + in);
    }
  }

  /** Reads what a watch prints, up to that word. */
  static void until(String word, BufferedReader printed) throws IOException {
    for (String line = printed.readLine(); line != null; line = printed.readLine()) {
      if (line.contains(word)) {
        return;
      }
    }
    throw new AssertionError("it ended without " + word);
  }

  /** Stands in for what you want to test, which calls the gateway by its stubs. */
  static String read(Gateway gateway, String id) throws IOException {
    return new String(call(gateway, "GetCallRequestResult", id).getInputStream().readAllBytes());
  }

  static Process call(Gateway gateway, String method, String id) throws IOException {
    String request = "{\"call_request_id\": \"" + id + "\"}";
    return new ProcessBuilder("grpcurl", "-plaintext", "-max-time", "20", "-d", request, gateway.address,
        "callrequest.v1.CallRequestService/" + method).redirectErrorStream(true).start();
  }

  public static void main(String[] arguments) throws Exception {
    try (Gateway gateway = new Gateway()) {
      theResultFollowsTheCall(gateway);
      anOutageOfTheVendorIsTold(gateway);
      aWatcherSeesTheCallBeginAndEnd(gateway);
      theVendorPushesTheResult(gateway);
    }
  }
}
