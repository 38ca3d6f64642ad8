"""The command that makes the environment of a repository, by its lock file."""

from autoresearch.setup.detect.repository_texts import RepositoryTexts

REQUIREMENTS = "requirements.txt"
PIP = "python3 -m venv .venv && .venv/bin/python -m pip install --disable-pip-version-check -r requirements.txt"
SETUPS = {
    "uv.lock": ("uv", "sync", "--frozen", "--no-install-project"),
    "poetry.lock": ("poetry", "install", "--no-root"),
    REQUIREMENTS: ("sh", "-c", PIP),
}


def find_setup(texts: RepositoryTexts) -> tuple[str, ...]:
    """Return the command that installs what a lock file at the top names; nothing without one."""
    return next((command for name, command in SETUPS.items() if name in texts.files), ())
