"""What tests of the checks share: the findings of the way to the vendor, the one that failed, and no secret in any."""

from collections.abc import Iterable
from typing import Any

from server.doctor.finding import Finding
from server.doctor.vendor import check_vendor
from testkit.gateway import SECRET, settings_for

PASSWORD, TOKEN = "proxy-password-7Q", "token-canary-3W"
CANARIES = (SECRET, PASSWORD, TOKEN)
"""Secrets of these tests: no finding may hold one."""


async def of_vendor(url: str | None, **changed: Any) -> list[Finding]:
    """The findings of the way to the vendor at that address."""
    return [finding async for finding in check_vendor(settings_for(url, **changed))]


def text_of(findings: Iterable[Finding], check: str, state: str) -> str:
    """The text of the only finding of a check, which must have that state; nothing else may have failed."""
    found = list(findings)
    for canary in CANARIES:
        assert not [finding for finding in found if canary in finding.text]
    assert [finding for finding in found if finding.state == "failed" and finding.check != check] == []
    ((got, text),) = [(finding.state, finding.text) for finding in found if finding.check == check]
    assert got == state, text
    return text


def state_of(findings: Iterable[Finding], check: str) -> set[str]:
    """The states of the findings of a check."""
    return {finding.state for finding in findings if finding.check == check}
