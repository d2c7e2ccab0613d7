// Package gateway calls the call request gateway as its callers should: over one channel with the recommended
// settings, and with one decision for each failure.
package gateway

import (
	"context"
	_ "embed"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // without it the service config's healthCheckConfig does nothing
	"google.golang.org/grpc/keepalive"
)

//go:generate cp ../../service_config.json .

// The recommended service config: reads are tried again, cancels never, and only healthy gateways are called.
//
//go:embed service_config.json
var serviceConfig string

// Settings has the address of the gateway and the identity of the caller.
type Settings struct {
	Address string // host:port
	CA      string // PEM file of the CAs that may vouch for the gateway; empty: plaintext, good for loopback only
	Token   string // bearer token; with plaintext Connect fails rather than send it
}

// Connect makes the channel. One is enough for the whole program and all its goroutines: it has as many connections as
// there are gateways, makes them when they are needed, and makes them anew when they break.
func Connect(settings Settings, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if settings.CA != "" {
		var err error
		if transport, err = credentials.NewClientTLSFromFile(settings.CA, ""); err != nil {
			return nil, err
		}
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: quicklyAtFirst(), MinConnectTimeout: 20 * time.Second}),
		grpc.WithKeepaliveParams(pings),
	}
	if settings.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(settings.Token)))
	}
	return grpc.NewClient(settings.Address, append(options, more...)...)
}

// pings notice a connection that is gone without a word, within 30 s. Without them calls on it fail, and watches wait, until
// the kernel gives it up, after a quarter of an hour. The gateway takes a ping every 10 s.
var pings = keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 10 * time.Second}

// quicklyAtFirst is how long to wait between attempts to connect. A process that ends may still take a connection, and
// break it: by default the channel would then wait for a second before it tries another.
func quicklyAtFirst() backoff.Config {
	config := backoff.DefaultConfig
	config.BaseDelay = 100 * time.Millisecond
	return config
}

// bearer is a token that goes with each call.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }
