"""What several processes share: results, leases and the channel between them, in Valkey or Redis."""
