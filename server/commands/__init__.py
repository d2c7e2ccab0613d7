"""The commands: serve, sandbox, healthcheck, doctor, call; and worker, which serve starts when there are several.

Each imports what it needs when it runs: a worker has no sandbox in memory, and the supervisor no gRPC.
"""
