"""The contract's Python packages, one for each version. Needs only grpcio and protobuf, not the server."""
