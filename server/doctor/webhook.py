"""The webhook: whether it knows any sender."""

from ..settings import Settings, SettingsError
from .finding import Finding

CHECK = "webhook"


def check_webhook(settings: Settings) -> list[Finding]:
    """One finding for the ways to know senders, or one for each wrong setting."""
    if settings.webhook_listen is None:
        return [Finding.skipped(CHECK, "GATEWAY_WEBHOOK_LISTEN is not set")]
    from ..webhook.opening import sender_rules  # a gateway without it has no use for its modules

    try:
        files, _, tls = sender_rules(settings)
    except SettingsError as error:
        return [Finding.failed(CHECK, line) for line in error.lines]
    rules = files.value
    ways = [
        *([f"signatures (secrets: {len(rules.secrets)})"] if rules.secrets else []),
        *([f"tokens ({len(rules.tokens)})"] if rules.tokens else []),
        *(["a user and a password"] if rules.basic else []),
        *(["certificates"] if rules.certificate else []),
        *(["anybody"] if rules.unsigned else []),
    ]
    return [Finding.ok(CHECK, f"{'TLS' if tls else 'plaintext'}; knows senders by {', '.join(ways)}")]
