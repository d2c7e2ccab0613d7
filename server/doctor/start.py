"""What keeps the gateway from starting, beyond what each setting holds by itself, and is seen without a network."""

from ..settings import Settings
from .files import broken_certificates, check_callers
from .shared_state import wrong_state_settings
from .webhook import check_webhook


def wrong_files_and_rules(settings: Settings) -> list[str]:
    """A line for each: certificates, callers, the webhook's senders, the engine's keys."""
    rules = [check_callers(settings), *check_webhook(settings)]
    found = [finding.text for finding in rules if finding.state == "failed"]
    return [*broken_certificates(settings), *found, *wrong_state_settings(settings)]
