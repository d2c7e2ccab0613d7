"""How long a follower waits."""

import time

import grpc
import pytest
from callrequest.v1.call_request_service_pb2_grpc import CallRequestServiceStub

from client.calls import read
from client.channel import Gateway
from client.following import MAX_PAUSE, follow, pause_after

from .conftest import PENDING, needed


def test_an_outage_of_days_is_waited_out() -> None:
    """The pause stays bounded, however many streams have failed."""
    with Gateway("127.0.0.1:1").channel() as channel, pytest.raises(grpc.RpcError) as caught:
        read(CallRequestServiceStub(channel), PENDING, within=1)
    assert 0 <= pause_after(caught.value, 10_000) <= MAX_PAUSE


@pytest.mark.parametrize("nobody", [False, True], ids=["while-nothing-changes", "between-two-streams"])
def test_a_follower_gives_up_in_time(nobody: bool) -> None:
    """However long nothing changes, and although nobody is there."""
    address = "127.0.0.1:1" if nobody else needed("CALL_REQUEST_GATEWAY")
    begun = time.monotonic()
    with Gateway(address).channel() as channel, pytest.raises(grpc.RpcError):
        list(follow(CallRequestServiceStub(channel), PENDING, within=1))
    assert time.monotonic() - begun < 30
