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
import java.util.concurrent.TimeUnit;

/** Tests against a gateway of their own, whose vendor is the sandbox. */
class WithGateway {

  /** A gateway on free ports, with control of the sandbox behind it. In JUnit: a static field, made once. */
  static final class Gateway implements AutoCloseable {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    final String address = freeAddress();
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
          "GATEWAY_DRAIN_DELAY", "0"));
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

    @Override
    public void close() throws InterruptedException {
      process.destroy();
      process.waitFor(35, TimeUnit.SECONDS);
    }

    private void control(String method, String path, String body) throws IOException, InterruptedException {
      URI uri = URI.create(sandbox + path);
      var request = HttpRequest.newBuilder(uri).method(method, BodyPublishers.ofString(body)).build();
      var answer = HTTP.send(request, BodyHandlers.ofString());
      if (answer.statusCode() >= 300) {
        throw new IOException(method + " " + path + ": " + answer.statusCode() + " " + answer.body());
      }
    }

    private static String freeAddress() {
      try (ServerSocket bound = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
        return "127.0.0.1:" + bound.getLocalPort();
      } catch (IOException error) {
        throw new IllegalStateException(error);
      }
    }

    private static void waitUntilReady(URI uri) throws InterruptedException {
      Instant latest = Instant.now().plusSeconds(20);
      while (Instant.now().isBefore(latest)) {
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
      throw new IllegalStateException(uri + ": not ready after 20 s");
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

  static void expect(String word, String in) {
    if (!in.contains(word)) {
      throw new AssertionError("no " + word + " in " + in);
    }
  }

  /** Stands in for what you want to test, which calls the gateway by its stubs. */
  static String read(Gateway gateway, String id) throws IOException {
    String request = "{\"call_request_id\": \"" + id + "\"}";
    String method = "callrequest.v1.CallRequestService/GetCallRequestResult";
    Process output = new ProcessBuilder("grpcurl", "-plaintext", "-d", request, gateway.address, method)
        .redirectErrorStream(true).start();
    return new String(output.getInputStream().readAllBytes());
  }

  public static void main(String[] arguments) throws Exception {
    try (Gateway gateway = new Gateway()) {
      theResultFollowsTheCall(gateway);
      anOutageOfTheVendorIsTold(gateway);
    }
  }
}
