"""A home folder and a PATH with coding agents that are installed and logged in; they fail if anybody starts them."""

import json
from pathlib import Path

TOKEN = "0123456789abcdef0123456789"
LOGINS = {
    "claude": (".claude/.credentials.json", json.dumps({"claudeAiOauth": {"accessToken": TOKEN, "expiresAt": 1}})),
    "codex": (".codex/auth.json", json.dumps({"OPENAI_API_KEY": None, "tokens": {"access_token": TOKEN}})),
    "gemini": (".gemini/.env", f"# mine\nexport GEMINI_API_KEY='{TOKEN}'\n"),
}
LOGGED_OUT = {
    "claude": json.dumps({"claudeAiOauth": None, "organizationUuid": TOKEN}),
    "codex": json.dumps({"OPENAI_API_KEY": None, "tokens": None, "last_refresh": "2026-11-01T00:00:00.000000Z"}),
    "gemini": "GEMINI_API_KEY=\n# GEMINI_API_KEY=0123456789abcdef0123456789\n",
}


def install(folder: Path, *names: str) -> str:
    """Install programs that leave a file `started` behind; return the folder for PATH."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in names:
        (programs / name).write_text(f"#!/bin/sh\ntouch {folder}/started\nexit 1\n")
        (programs / name).chmod(0o755)
    return str(programs)


def log_in(home: Path, name: str, text: str | None = None) -> None:
    path, login = LOGINS[name]
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text(login if text is None else text)
