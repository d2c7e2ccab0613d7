"""Files: who may read them, the dates in certificates, callers."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.doctor.files import check_callers, check_certificates, check_permissions
from server.doctor.finding import Finding
from server.settings import load_settings
from testkit.certificate_authority import DNS, Authority, Pki
from testkit.gateway import settings_for

from .findings import text_of

DAY = 86_400.0


def _certificates(now: Callable[[], float] = time.time, **changed: Any) -> list[Finding]:
    return list(check_certificates(settings_for(None, **changed), now))


def _files(tmp_path: Path, **modes: int) -> list[Finding]:
    """The permissions' findings of a server's files; modes: of some of them."""
    pki = Pki(tmp_path)
    for name in ("certificate", "key", "client_ca"):
        getattr(pki, name).chmod(modes.get(name, 0o640))
    return list(check_permissions(settings_for(None, **pki.settings())))


def test_files_that_are_well_are_counted(tmp_path: Path) -> None:
    """Certificates may be read by everybody."""
    assert text_of(_files(tmp_path, certificate=0o644), "files", "ok").startswith("3 can be read")


def test_no_file_at_all_is_nothing_to_check() -> None:
    """Neither files nor certificates."""
    assert text_of(check_permissions(settings_for(None)), "files", "skipped")
    assert text_of(_certificates(), "certificates", "skipped")


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        pytest.param("key", 0o644, "GATEWAY_TLS_KEY: every user may read", id="key-for-everybody"),
        pytest.param("key", 0o602, "GATEWAY_TLS_KEY: every user may change", id="key-to-be-changed"),
        pytest.param("client_ca", 0o666, "GATEWAY_TLS_CLIENT_CA: every user may change", id="ca-to-be-changed"),
    ],
)
def test_permissions_that_are_too_wide_fail_their_check(tmp_path: Path, name: str, mode: int, expected: str) -> None:
    """Named with the file and what to do."""
    text = text_of(_files(tmp_path, **{name: mode}), "files", "failed")
    assert text.startswith(expected)
    assert "chmod" in text


@pytest.mark.parametrize(("mode", "state"), [(0o777, "failed"), (0o1777, "ok"), (0o775, "ok")])
def test_a_folder_in_which_everybody_may_replace_files_fails_its_check(tmp_path: Path, mode: int, state: str) -> None:
    """Its files' own permissions do not help then; in a sticky one, like /tmp, only their owners may."""
    (folder := tmp_path / "folder").mkdir()
    folder.chmod(mode)
    text = text_of(_files(folder), "files", state)
    assert (f"every user may replace the files in {folder}: chmod o-w" in text) == (state == "failed")


def test_a_secrets_file_that_everybody_may_read_fails_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is in the finding, never its content; other files of the folder do not matter."""
    (tmp_path / "gateway_webhook_basic").write_text("user:proxy-password-7Q")
    (tmp_path / "gateway_webhook_basic").chmod(0o644)
    (tmp_path / "readme").write_text("of no interest")
    monkeypatch.setenv("GATEWAY_SECRETS_DIR", str(tmp_path))
    text = text_of(check_permissions(load_settings()), "files", "failed")
    assert "gateway_webhook_basic: chmod o-rwx" in text


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(0, "TLS_CERTIFICATE: 29 days left", id="well"),
        pytest.param(20, "TLS_CERTIFICATE: ends in 10 days, 2", id="ends-soon"),
        pytest.param(40, "TLS_CERTIFICATE: ended 10 days ago, 2", id="ended"),
        pytest.param(30 - 1 / 36, "TLS_CERTIFICATE: ends in 40 min, ", id="ends-at-once"),
        pytest.param(30 + 1 / 144, "TLS_CERTIFICATE: ended 10 min ago, ", id="has-just-ended"),
        pytest.param(-10, "TLS_CERTIFICATE: not valid before", id="not-yet"),
    ],
)
def test_the_days_that_are_left_are_shown_and_too_few_fail(tmp_path: Path, days: float, expected: str) -> None:
    """Fewer than two weeks are a failure, and so is a certificate before its begin. days: from now on."""
    authority = Authority()
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    authority.issue(DNS("localhost"), days=30).write(certificate, key)
    findings = _certificates(lambda: time.time() + days * DAY, tls_certificate=certificate, tls_key=key)
    assert expected in text_of(findings, "certificates", "ok" if days == 0 else "failed")


@pytest.mark.parametrize("prefix", ["tls", "vendor"])
def test_a_key_of_another_certificate_fails_its_check(tmp_path: Path, prefix: str) -> None:
    """Both settings are named."""
    certificate, key = tmp_path / "one.pem", tmp_path / "one.key"
    Authority().issue(DNS("localhost"), days=30).write(certificate, tmp_path / "first.key")
    Authority().issue(DNS("localhost"), days=30).write(tmp_path / "two.pem", key)
    files: dict[str, Any] = {f"{prefix}_certificate": certificate, f"{prefix}_key": key}
    text = text_of(_certificates(**files), "certificates", "failed")
    names = f"GATEWAY_{prefix.upper()}_CERTIFICATE, GATEWAY_{prefix.upper()}_KEY"
    assert text == f"{names}: the key is not that of the certificate"


@pytest.mark.parametrize("name", ["vendor_ca", "state_ca", "webhook_tls_client_ca"])
def test_a_file_without_certificates_fails_its_check(tmp_path: Path, name: str) -> None:
    """Any file that should hold some."""
    (tmp_path / "ca.pem").write_text("no PEM")
    files: dict[str, Any] = {name: tmp_path / "ca.pem"}
    text = text_of(_certificates(**files), "certificates", "failed")
    assert text == f"GATEWAY_{name.upper()}: holds no certificates in PEM, or one that is broken"


CALLER = '[[caller]]\nname = "billing"\nmay = ["read"]\n'


@pytest.mark.parametrize(
    ("content", "state", "expected"),
    [
        pytest.param(f'{CALLER}token_sha256 = "{"0" * 64}"', "ok", "1 callers", id="well"),
        pytest.param("[[caller", "failed", "GATEWAY_CALLERS: its end: is not TOML", id="no-toml"),
        pytest.param(CALLER, "failed", "needs either certificate or token_sha256", id="no-way-to-know-it"),
        pytest.param(f'{CALLER}certificate = "a.example"', "failed", "with GATEWAY_TLS_CLIENT_CA: set it", id="no-ca"),
    ],
)
def test_what_is_wrong_in_the_callers_file_is_named(tmp_path: Path, content: str, state: str, expected: str) -> None:
    """What is wrong in it, without what it holds."""
    (tmp_path / "callers.toml").write_text(content)
    finding = check_callers(settings_for(None, callers=tmp_path / "callers.toml"))
    assert expected in text_of([finding], "callers", state)


def test_no_callers_file_says_who_may_call(tmp_path: Path) -> None:
    """Whoever can connect, or has a certificate."""
    assert "everybody that can connect" in text_of([check_callers(settings_for(None))], "callers", "skipped")
    finding = check_callers(settings_for(None, **Pki(tmp_path).settings()))
    assert "with a certificate" in text_of([finding], "callers", "skipped")
