"""Messages and stubs generated from protos/callrequest/v1: `make generate` writes them, never the hand.

call_request_service_pb2_grpc has the client (CallRequestServiceStub), the other modules the messages and enums;
error_reason_pb2.ErrorReason and cancellation_pb2.CancellationRejected are found in the details of a failed status.
"""
