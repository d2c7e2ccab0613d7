"""The fault suite: what the gateway promises under fault, measured on real processes and real sockets."""
