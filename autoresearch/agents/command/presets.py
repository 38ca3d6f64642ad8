"""Presets for `command:NAME`: how each coding agent is called in scripts, and what it needs from the user.

The command lines follow the tools' documentation for use in scripts, and were tried in a cell on 2026-11-21 with Claude
Code 2.1.197, Codex CLI 0.169.0 and Gemini CLI 0.61.0. Their own sandboxes and questions are off if these would stop
them: the cell confines them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EDITING = "Read,Edit,Write,Glob,Grep"  # tools of Claude Code: no shell, no web
PROMPT = "Read BRIEF.md in this folder and do what it asks: edit train.py, write proposal.json, then stop."


@dataclass(frozen=True)
class Preset:
    """One tool. `keys` and `settings` are environment variables that it gets if they are set; `title` is its full name.

    `login` and `files` are copied from the user's home folder into that of the cell, `login` only if none of the `keys`
    is set. `environment` is fixed. `model` is the option that names a model.
    """

    command: Sequence[str]
    model: str
    keys: Sequence[str]
    title: str = ""
    settings: Sequence[str] = ()
    login: Sequence[str] = ()
    files: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


PRESETS = {
    # https://code.claude.com/docs/en/headless and /cli-reference
    "claude": Preset(
        title="Claude Code",
        command=(
            *("claude", "-p", PROMPT, "--output-format", "json"),
            *("--permission-mode", "acceptEdits", "--tools", EDITING, "--allowedTools", EDITING),
        ),
        model="--model",
        keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
        settings=("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"),
        login=(".claude/.credentials.json",),
        files=(".claude/settings.json",),
        environment={"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
    ),
    # https://developers.openai.com/codex/noninteractive
    "codex": Preset(
        title="Codex CLI",
        command=(
            *("codex", "exec", "--skip-git-repo-check", "--ephemeral", "--color", "never"),
            *("--dangerously-bypass-approvals-and-sandbox", PROMPT),
        ),
        model="--model",
        keys=("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "OPENAI_API_KEY"),
        settings=("OPENAI_BASE_URL",),
        login=(".codex/auth.json",),
        files=(".codex/config.toml",),
    ),
    # https://geminicli.com/docs/cli/headless and /trusted-folders
    "gemini": Preset(
        title="Gemini CLI",
        command=("gemini", "--approval-mode", "auto_edit", "-p", PROMPT),
        model="--model",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        settings=("GEMINI_MODEL", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI"),
        login=(".gemini/oauth_creds.json", ".gemini/.env"),
        files=(".gemini/settings.json", ".gemini/google_accounts.json"),
        environment={"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_CLI_NO_RELAUNCH": "true"},
    ),
}
