package internal.callrequest.client;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;

/** Controls the gateway's sandbox, and reports its requests. */
final class Sandbox {
  private final HttpClient http = HttpClient.newHttpClient();
  private final String url;

  Sandbox(String url) {
    this.url = url;
  }

  /** Creates a call request and returns its id. */
  String callRequest(Map<String, ?> plan) throws IOException, InterruptedException {
    return send("POST", "call-requests", json(plan)).get("id").getAsString();
  }

  void fault(Map<String, ?> plan) throws IOException, InterruptedException {
    send("POST", "faults", json(plan));
  }

  void clearFaults() throws IOException, InterruptedException {
    send("DELETE", "faults", BodyPublishers.noBody());
  }

  void revokeTokens() throws IOException, InterruptedException {
    send("POST", "tokens/revoke", BodyPublishers.noBody());
  }

  /** How often it was asked so far. */
  int asked(String operation) throws IOException, InterruptedException {
    return send("GET", "requests", BodyPublishers.noBody())
        .getAsJsonObject("counts")
        .get(operation)
        .getAsInt();
  }

  private JsonObject send(String method, String path, BodyPublisher body)
      throws IOException, InterruptedException {
    var request =
        HttpRequest.newBuilder(URI.create(url + "/sandbox/" + path))
            .timeout(Duration.ofSeconds(10))
            .method(method, body)
            .build();
    var response = http.send(request, BodyHandlers.ofString());
    if (response.statusCode() != 200) {
      throw new IOException(path + ": " + response.statusCode() + " " + response.body());
    }
    return JsonParser.parseString(response.body()).getAsJsonObject();
  }

  private static BodyPublisher json(Map<String, ?> plan) {
    return BodyPublishers.ofString(new Gson().toJson(plan));
  }
}
