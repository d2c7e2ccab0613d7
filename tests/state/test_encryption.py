"""What leaves the process is ciphertext, bound to its place."""

import base64

import pytest

from server.state.encryption import Encryption, parse_keys

OLD, NEW, NAME = bytes(32), bytes(range(32)), b"cr:{77b2c4d5e6f7g890}:r"


def test_a_value_comes_back_under_its_own_name_only() -> None:
    """Ciphertext that was moved to another call request is a miss."""
    stored = Encryption([NEW]).encrypt(NAME, b"Mr. Guest")
    assert b"Guest" not in stored
    assert Encryption([NEW]).decrypt(NAME, stored) == b"Mr. Guest"
    assert Encryption([NEW]).decrypt(b"cr:{66a1b2c3d4e5f678}:r", stored) is None


def test_keys_can_be_rotated() -> None:
    """The first key encrypts, each of them decrypts, and a key that is gone decrypts nothing."""
    stored = Encryption([OLD]).encrypt(NAME, b"value")
    assert Encryption([NEW, OLD]).decrypt(NAME, stored) == b"value"
    assert Encryption([NEW]).decrypt(NAME, stored) is None
    assert Encryption([OLD]).decrypt(NAME, Encryption([NEW, OLD]).encrypt(NAME, b"value")) is None


def test_the_same_value_looks_different_each_time() -> None:
    """Whoever reads the engine does not see that two results are equal."""
    assert len({Encryption([NEW]).encrypt(NAME, b"value") for _ in range(10)}) == 10


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"s", id="no nonce"),
        pytest.param(b"s" + bytes(12), id="no ciphertext"),
        pytest.param(b"s" + bytes(40), id="garbage"),
        pytest.param(b"pvalue", id="plaintext where keys are set"),
        pytest.param(b"x" + bytes(40), id="another version's form"),
    ],
)
def test_what_cannot_be_decrypted_is_a_miss(stored: bytes) -> None:
    """None, and no exception: the caller reads at the vendor."""
    assert Encryption([NEW]).decrypt(NAME, stored) is None


def test_without_keys_values_are_stored_as_they_are() -> None:
    """And what another process has encrypted is a miss."""
    plain = Encryption([])
    assert plain.decrypt(NAME, plain.encrypt(NAME, b"value")) == b"value"
    assert plain.decrypt(NAME, Encryption([NEW]).encrypt(NAME, b"value")) is None


def test_keys_are_read_from_base64() -> None:
    """Several, comma-separated, blanks around them."""
    text = ", ".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    assert parse_keys(text) == [NEW, OLD]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("secret-not-base64!", id="no base64"),
        pytest.param(base64.b64encode(bytes(31)).decode(), id="too short"),
        pytest.param(base64.b64encode(bytes(33)).decode(), id="too long"),
        pytest.param(base64.b64encode(bytes(32)).decode() + ",", id="an empty one"),
        pytest.param("ключ", id="no ASCII"),
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(value: str) -> None:
    """ValueError, whose text holds nothing of the value."""
    with pytest.raises(ValueError, match="must") as caught:
        parse_keys(value)
    assert not value or value not in str(caught.value)
