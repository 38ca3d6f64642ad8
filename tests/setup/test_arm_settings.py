"""The settings of several researchers: forms, names, and what is refused."""

from pathlib import Path

import pytest

from autoresearch import config
from autoresearch.config import ArmSetting, Config, config_of_arm
from autoresearch.errors import UsageError


def load(root: Path, text: str = "", **flags: object) -> Config:
    (root / "autoresearch.yaml").write_text(text)
    return config.load(root, flags)


def names(settings: Config) -> list[str]:
    return [arm.name for arm in settings.arms]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arms: [claude, sweep]", ["claude", "sweep"]),
        ("agent: claude,command:codex, sweep", ["claude", "command:codex", "sweep"]),
        ("agent: claude\narms: [sweep, claude]", ["sweep", "claude"]),
        ("arms: [{agent: claude, program: b/bold.md}, claude, {agent: claude, program: none}]",
         ["claude/bold", "claude", "claude/none"]),
        ("arms: [{agent: claude, model: m}, {agent: claude, model: n}]", ["claude:m", "claude:n"]),
        ("arms: [{name: a, agent: sweep}, {name: b, agent: sweep}]", ["a", "b"]),
        ("agent: 'command:tool -x a,b'", []),
    ],
)  # fmt: skip
def test_arms_have_names_that_tell_them_apart(tmp_path: Path, text: str, expected: list[str]) -> None:
    settings = load(tmp_path, text)
    assert names(settings) == expected and (settings.agent == "mix") is bool(expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("agent: mix", "agent mix: write `arms:` into autoresearch.yaml"),
        ("arms: 3", "'arms' in autoresearch.yaml: should be a list"),
        ("arms: [{agnt: claude}]", "'arms.0.agent' in autoresearch.yaml: field required"),
        ("arms: [auto]", "an arm needs one agent, and not `auto`"),
        ("arms: ['claude,sweep']", "an arm needs one agent"),
        ("arms: [{name: a, agent: claude}, {name: a, agent: sweep}]", "two different arms are called a"),
        ("arms: [{agent: claude, effort: low}, {agent: claude, effort: high}]", "two different arms are called claude"),
        ("arms: [{agent: claude, base_url: 'http://me:key@host'}]", "give a key as auth_token"),
        ("arms: [{name: 'a b', agent: claude}]", "'arms.0.name'"),
    ],
)
def test_a_bad_list_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        load(tmp_path, text)
    assert why in str(error.value) and "\n" not in str(error.value)


def test_an_agent_of_a_later_source_takes_the_place_of_the_arms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "arms: [claude, sweep]"
    assert names(load(tmp_path, text, agent="sweep")) == []
    assert names(load(tmp_path, text, agent="mix")) == ["claude", "sweep"]
    assert names(load(tmp_path, text, agent="scripted:x,sweep")) == ["scripted:x", "sweep"]
    monkeypatch.setenv("AUTORESEARCH_ARMS", "sweep,claude")
    assert names(load(tmp_path, text)) == ["sweep", "claude"]


def test_an_arm_is_as_the_other_settings_say_unless_it_says_otherwise(tmp_path: Path) -> None:
    text = "{model: m, max_usd: 5, base_url: 'http://x', arms: [claude, {agent: claude, base_url: null, max_usd: 2}]}"
    settings = load(
        tmp_path, text.replace("[claude,", "[{name: a, agent: claude},").replace("{agent", "{name: b, agent")
    )
    one, two = (config_of_arm(settings, arm) for arm in settings.arms)
    assert (one.agent, one.model, one.base_url, one.max_usd) == ("claude", "m", "http://x", 5)
    assert (two.base_url, two.max_usd) == (None, 2)
    assert config_of_arm(settings, ArmSetting(agent="command:codex")).max_usd is None


def test_folders_of_edits_start_at_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, "arms: [scripted:edits, {agent: scripted:more}]")
    assert [arm.agent for arm in settings.arms] == [f"scripted:{tmp_path / name}" for name in ("edits", "more")]
    assert load(tmp_path, "agent: scripted:a,scripted:b").arms[1].agent == f"scripted:{tmp_path / 'b'}"
