"""How long a follower waits."""

import grpc
import pytest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub

from client.calls import read
from client.channel import Gateway
from client.following import MAX_PAUSE, pause_after

from .conftest import PENDING


def test_an_outage_of_days_is_waited_out() -> None:
    """The pause stays bounded, however many streams have failed."""
    with Gateway("127.0.0.1:1").channel() as channel, pytest.raises(grpc.RpcError) as caught:
        read(CallRequestServiceStub(channel), PENDING, within=1)
    assert 0 <= pause_after(caught.value, 10_000) <= MAX_PAUSE
