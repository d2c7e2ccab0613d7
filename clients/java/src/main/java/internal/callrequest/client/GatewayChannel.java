package internal.callrequest.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import internal.callrequest.v1.CallRequestServiceGrpc;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Makes channels to the gateway. A program needs one, for all its calls and threads: it keeps its
 * connections, connects anew when one breaks, and counts what the retries may cost.
 */
public final class GatewayChannel {
  private static final String RECOMMENDED = "/callrequest/v1/service_config.json";

  private GatewayChannel() {}

  /**
   * Opens a channel with the recommended service config, which comes with the stubs: retries for
   * reads alone, round robin over the gateway's addresses, and none that is not healthy. Its pings
   * notice a connection that is gone without a word within 30 s: without them calls on it fail, and
   * watches wait, until the kernel gives it up. The gateway takes a ping every 10 s.
   *
   * @param target {@code host:port}, or any other name that gRPC resolves
   */
  public static ManagedChannel open(String target, ChannelCredentials credentials) {
    return Grpc.newChannelBuilder(target, credentials)
        .defaultServiceConfig(recommendedServiceConfig())
        .keepAliveTime(10, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .build();
  }

  /** No encryption and no identity: for a gateway on the same machine. */
  public static ChannelCredentials plaintext() {
    return InsecureChannelCredentials.create();
  }

  /** TLS that trusts the authorities of a PEM file, without an identity. */
  public static ChannelCredentials tls(File authorities) throws IOException {
    return TlsChannelCredentials.newBuilder().trustManager(authorities).build();
  }

  /** The same, with a bearer token on each call. */
  public static ChannelCredentials tls(File authorities, String token) throws IOException {
    return CompositeChannelCredentials.create(tls(authorities), new BearerToken(token));
  }

  /** The service config as gRPC takes it: JSON's own types, each number a double. */
  static Map<String, Object> recommendedServiceConfig() {
    try (Reader json =
        new InputStreamReader(
            CallRequestServiceGrpc.class.getResourceAsStream(RECOMMENDED),
            StandardCharsets.UTF_8)) {
      return new Gson().fromJson(json, new TypeToken<>() {});
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Sends a token with each call, and lets no call without TLS carry it. */
  static final class BearerToken extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final String token;

    BearerToken(String token) {
      this.token = token;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      if (call.getSecurityLevel() != SecurityLevel.PRIVACY_AND_INTEGRITY) {
        applier.fail(Status.UNAUTHENTICATED.withDescription("a token is only sent over TLS"));
        return;
      }
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + token);
      applier.apply(headers);
    }
  }
}
