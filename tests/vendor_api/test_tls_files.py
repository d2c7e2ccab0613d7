"""When the system's CAs are loaded: in the time of a start, and for TLS alone."""

from pathlib import Path

import pytest

from server.vendor_api.opening import VendorSettings
from testkit.certificate_authority import Authority
from testkit.gateway import settings_for


@pytest.mark.parametrize(
    ("url", "changed", "loaded"),
    [
        pytest.param("https://vendor.example", {}, 1, id="https"),
        pytest.param("HTTPS://vendor.example", {}, 1, id="https-in-capitals"),
        pytest.param("http://127.0.0.1:1", {"vendor_token_url": "https://tokens.example"}, 1, id="tokens-by-https"),
        pytest.param("http://127.0.0.1:1", {}, 0, id="http"),
    ],
)
def test_the_systems_authorities_are_loaded_for_https_alone(
    url: str, changed: dict[str, str], loaded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vendor by plain HTTP, as the sandbox is, does not delay the start; nor does its context trust anybody."""
    (tmp_path / "authority.pem").write_bytes(Authority().pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = VendorSettings.of(settings_for(url, **changed)).tls.load()
    assert context.cert_store_stats()["x509_ca"] == loaded
    assert context.check_hostname
