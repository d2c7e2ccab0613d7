"""What is wrong with settings."""


class SettingsError(Exception):
    """Settings are wrong or missing: a line for each, which names it, and of values holds an address at most."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


def needs_extra(name: str, extra: str) -> str:
    """The line for a setting whose libraries are not installed.

    It names a wheel, not the project: whoever registers that name in a public index would be run.
    """
    return (
        f"{name}: needs the extra `{extra}`: pip install '<the wheel>[{extra}]', "
        "or in a clone: .venv/bin/pip install -r requirements/image.txt"
    )
