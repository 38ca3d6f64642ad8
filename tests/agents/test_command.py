"""Coding agents: real shell scripts in real cells, helpful and hostile ones."""

import http.server
import json
import os
import sqlite3
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.sessions import session_of

from autoresearch.agents.base import BadProposal, Proposal, Unavailable, Unusable
from autoresearch.agents.command import command_agent, executables
from autoresearch.agents.registry import create
from autoresearch.agents.services import CallRecord, Services
from autoresearch.brief.brief import Brief
from autoresearch.brief.openings import Opening
from autoresearch.config import Config, serve_token_file
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UsageError
from autoresearch.ledger import Ledger
from autoresearch.measure.settings import Settings
from autoresearch.session.stopping import Limits

GOOD = "sed -i 's/^SMOOTHING = 0.5/SMOOTHING = 0.25/' train.py"
SAID = {
    "hypothesis": "less smoothing",
    "category": "optimizer",
    "predicted": -0.01,
    "confidence": 0.7,
    "source": "experience",
}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run at normal priority, except in the test of the priority: tests share their core."""
    monkeypatch.setattr(command_agent, "NICE", 0)


@pytest.fixture
def brief(bigram: str) -> Brief:
    return Brief(
        n=3, seed=0, program="Lower val_bpb.\n", source=bigram, incumbent=0, incumbent_score=2.1, sigma=0.01, history=[]
    )


@pytest.fixture
def agent_spec(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a shell script and returns its value for `--agent`."""

    def make(text: str) -> str:
        path = tmp_path / "agent.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return f"command:{path}"

    return make


def catch_bad_proposal(agent: Any, brief: Brief) -> BadProposal:
    with pytest.raises(BadProposal) as caught:
        agent.propose(brief)
    return caught.value


def entry(of: Proposal | BadProposal, kind: str) -> dict[str, Any]:
    return next(each for each in of.trace if each["kind"] == kind)


# --- what works


def test_an_edit_comes_back_with_what_the_agent_says_of_it(agent_spec: Callable[[str], str], brief: Brief) -> None:
    heard: list[CallRecord] = []
    agent = create(
        agent_spec(f"{GOOD}\necho '{json.dumps(SAID)}' > proposal.json; echo done"),
        Config(),
        Services(on_call=heard.append),
    )
    agent.check()
    proposal = agent.propose(brief)
    assert proposal.text == brief.source.replace("SMOOTHING = 0.5", "SMOOTHING = 0.25")
    assert (proposal.hypothesis, proposal.category, proposal.predicted) == ("less smoothing", "optimiser", -0.01)
    assert proposal.params == {"confidence": 0.7, "source": "experience"} and proposal.cost_usd is None
    assert (agent.name, agent.model) == ("command", "agent.sh")
    assert entry(proposal, "command")["output"] == "done\n" and entry(proposal, "files")["touched"] == []
    before, after = heard
    assert (
        before.key == after.key and before.seconds is None and after.seconds and after.cost_usd is None and after.n == 3
    )


def test_a_command_may_start_from_another_version(agent_spec: Callable[[str], str], brief: Brief) -> None:
    other = brief.source.replace("BATCH = 8", "BATCH = 16")
    told = replace(brief, openings=[Opening("refine", "a near miss", 2, 2)], versions={2: other})
    said = json.dumps({**SAID, "opening": "refine 2\x1b[2J", "start_from": 2})
    proposal = create(agent_spec(f"cp version-2.py train.py; {GOOD}; echo '{said}' > proposal.json")).propose(told)
    assert proposal.text == other.replace("SMOOTHING = 0.5", "SMOOTHING = 0.25")
    assert (proposal.start_from, proposal.opening) == (2, "refine 2") and entry(proposal, "files")["touched"] == []
    assert "- `refine 2`: a near miss" in entry(proposal, "prompt")["text"]


def test_the_scratch_folder_holds_the_brief_and_nothing_else(agent_spec: Callable[[str], str], brief: Brief) -> None:
    agent = create(agent_spec(f"ls; pwd; cat program.md; {GOOD}"))
    lines = entry(agent.propose(brief), "command")["output"].splitlines()
    assert (
        lines[:3] == ["BRIEF.md", "program.md", "train.py"]
        and lines[3].endswith("/work")
        and lines[4] == "Lower val_bpb."
    )
    text = entry(agent.propose(brief), "prompt")["text"]
    assert "proposal.json" in text and "predicted" in text and "2.1000 bits per byte" in text


def test_without_proposal_json_the_change_counts_all_the_same(brief: Brief) -> None:
    proposal = create(f"command:{GOOD}").propose(brief)
    assert "SMOOTHING = 0.25" in proposal.text and proposal.category == "other" and proposal.predicted is None


def test_claims_are_plain_text_and_numbers(agent_spec: Callable[[str], str], brief: Brief) -> None:
    said = (
        r"""{"hypothesis": "\u001b[31mred\ud800 \u202e", "predicted": 1"""
        + "0" * 5000
        + ', "confidence": NaN, "source": 7}'
    )
    proposal = create(agent_spec(f"{GOOD}; cat > proposal.json <<'END'\n{said}\nEND")).propose(brief)
    assert (proposal.hypothesis, proposal.predicted, proposal.params) == ("red ", None, {})


def test_what_else_was_touched_is_reported_and_ignored(agent_spec: Callable[[str], str], brief: Brief) -> None:
    proposal = create(
        agent_spec(f"{GOOD}; echo x >> program.md; rm BRIEF.md; echo y > prepare.py; mkdir -p a/b; echo z > a/b/c")
    ).propose(brief)
    assert entry(proposal, "files")["touched"] == [
        "changed program.md",
        "new a",
        "new a/b",
        "new a/b/c",
        "new prepare.py",
        "removed BRIEF.md",
    ]


@contextmanager
def http_server(text: str) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_that_the_user_names_is_there_and_no_other(
    agent_spec: Callable[[str], str], brief: Brief, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    fetch = """
import os, urllib.request as u
for url in (os.environ["OTHER"][::-1], "http://169.254.169.254/latest/meta-data"):
    for opener in (u.build_opener(), u.build_opener(u.ProxyHandler({}))):
        try:
            print("reached", opener.open(url, timeout=5).read())
        except OSError as error:
            print("refused", error)
open("train.py", "wb").write(u.urlopen(os.environ["MODEL"]).read())
"""
    with http_server(brief.source.replace("0.5", "0.125")) as model, http_server("scores") as other:
        monkeypatch.setenv("MODEL", model.replace("127.0.0.1", host))
        monkeypatch.setenv("OTHER", other[::-1])
        config = Config(command_env=["MODEL", "OTHER"])
        proposal = create(agent_spec(f"{sys.executable} - <<'END'{fetch}END"), config).propose(brief)
    assert "SMOOTHING = 0.125" in proposal.text
    command = entry(proposal, "command")
    assert [line.split()[0] for line in command["output"].splitlines()] == ["refused"] * 4
    assert command["seconds"] < 10 and entry(proposal, "cell") == {"kind": "cell", "weaknesses": []}


def test_it_stands_back_on_the_cpu(
    agent_spec: Callable[[str], str], brief: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_agent, "NICE", 19)
    log = entry(create(agent_spec(f"{GOOD}; nice; cat /proc/self/autogroup 2>/dev/null")).propose(brief), "command")[
        "output"
    ]
    assert log.startswith("19\n") and ("nice" not in log or log.endswith("nice 19\n"))


# --- what is refused


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("true", "the command left train.py unchanged"),
        (f"{GOOD}; echo no credit; exit 3", "the command ended with exit status 3: no credit"),
        (f"{GOOD}; kill -9 $$", "the command ended with exit status 137"),
        (f"{GOOD}; echo '{{oops' > proposal.json", "proposal.json is not JSON"),
        (f"{GOOD}; head -c 20000 /dev/zero | tr '\\0' '[' > proposal.json", "proposal.json is not JSON"),
        (f"{GOOD}; echo '[1]' > proposal.json", "proposal.json has to be one JSON object"),
        (f"{GOOD}; echo '{{}}' > proposal.json", "proposal.json: `hypothesis` is missing"),
        (f"{GOOD}; mkfifo proposal.json", "proposal.json is no plain file any more"),
        ("rm train.py", "train.py is gone"),
        ("rm train.py; ln -s /etc/passwd train.py", "train.py is no plain file any more"),
        ("rm train.py; mkfifo train.py", "train.py is no plain file any more"),
        ("rm train.py; mkdir train.py", "train.py is no plain file any more"),
        ("cp train.py x; ln x y; mv x train.py; echo 1 >> y", "train.py is no plain file any more"),
        ("head -c 3000000 /dev/zero > train.py", "train.py has 3000000 bytes: at most"),
        ("printf '\\377' > train.py", "train.py is not UTF-8 text"),
        ("echo 'def train(' > train.py", "train.py does not parse: line 1"),
        ("printf 'x = 1\\0' > train.py", "train.py does not parse"),
        ("head -c 90000 /dev/zero | tr '\\0' '-' > train.py; echo 1 >> train.py", "train.py does not parse"),
        ("seq 1 50000 | tr '\\n' '+' > train.py; echo 1 >> train.py", "train.py has 288896 characters: at most"),
        ("echo 'import nobody_has_this' >> train.py", "train.py imports `nobody_has_this`"),
        ("cd ..; rm -r work; ln -s /etc work", "the scratch folder was replaced"),
    ],
)  # fmt: skip
def test_a_broken_proposal_is_one_clear_sentence(
    agent_spec: Callable[[str], str], brief: Brief, text: str, reason: str
) -> None:
    bad = catch_bad_proposal(create(agent_spec(text)), brief)
    assert str(bad).startswith(reason) and "\n" not in str(bad)
    assert [each["kind"] for each in bad.trace[:2]] == ["prompt", "command"]


def test_a_tool_whose_server_is_busy_is_away_and_one_that_is_locked_out_cannot_work(
    agent_spec: Callable[[str], str], brief: Brief
) -> None:
    with pytest.raises(Unavailable, match="usage limit reached") as away:
        create(agent_spec("echo 'Claude usage limit reached|1760000000' >&2; exit 1")).propose(brief)
    assert away.value.retry_at > time.time() + 60
    with pytest.raises(Unusable, match="log in again"):
        create(agent_spec("echo 'Invalid API key. Please run /login'; exit 1")).propose(brief)


@pytest.mark.parametrize(
    "line",
    [
        """echo '{"type":"result","is_error":true,"result":"API Error: too many requests"}'""",
        "echo 'You have hit your session limit, it resets in 2 hours'",
        "echo 'You have hit your session limit, it resets in 2 hours'; exit 1",
        f"{GOOD}; echo 'RESOURCE_EXHAUSTED: the quota resets after 2h'; exit 1",
    ],
)
def test_a_limit_is_seen_whatever_the_exit_status(agent_spec: Callable[[str], str], brief: Brief, line: str) -> None:
    with pytest.raises(Unavailable, match=r"(too many requests|2 ?h).*; asked again at \d\d:\d\d") as away:
        create(agent_spec(line)).propose(brief)
    hours = (away.value.retry_at - time.time()) / 3600
    assert hours == pytest.approx(2.0 if "2" in line.split("reset")[-1] else 1 / 6, abs=0.05)


def test_a_command_that_does_not_exist_is_known_before_any_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unusable, match="there is no command `no-such-agent` here"):
        create("command:no-such-agent --fast")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(Unusable, match="there is no command `codex` here"):
        create("command:codex")
    (tmp_path / "mine.sh").write_text("true")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"write `{tmp_path}/mine.sh` instead of `mine.sh`"):
        create("command:sh mine.sh")
    for spec, reason in (
        ("command:", "there is no agent"),
        ("command: ", "needs a tool"),
        ("command:sh 'x", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=reason):
            create(spec)


@pytest.mark.parametrize("start", ["", "/"])
def test_a_long_prompt_is_one_word(start: str, brief: Brief) -> None:
    prompt = start + "do this. " * 40
    assert executables.split_words(f"tool -p '{prompt}'") == ["tool", "-p", prompt]
    assert "SMOOTHING = 0.25" in create(f"command:{GOOD}; : '{prompt}'").propose(brief).text


def test_a_cap_on_dollars_cannot_be_held() -> None:
    with pytest.raises(UsageError, match=r"max_usd does not work with a command.*from autoresearch\.yaml"):
        create("command:true", Config(max_usd=5))


def test_a_program_that_the_cell_may_not_read_is_known_before_any_trial(tmp_path: Path) -> None:
    inner = tmp_path / "inner.sh"
    inner.write_text("#!/bin/sh\ntrue\n")
    inner.chmod(0o755)
    outer = tmp_path / "bin"
    outer.mkdir()
    (outer / "claude").write_text(f"#!/bin/sh\nexec {inner}\n")
    (outer / "claude").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{outer}:/usr/bin:/bin")
        with pytest.raises(Unusable, match=r"in its cell, `claude --version` ended with exit status 126.*command_read"):
            create("command:claude").check()
        create("command:claude", Config(command_read=[str(inner)])).check()


# --- what does no harm


def test_a_command_that_hangs_is_killed_with_all_its_children(agent_spec: Callable[[str], str], brief: Brief) -> None:
    agent = create(agent_spec(f"{GOOD}; trap '' TERM; sleep 4711 & sleep 4712"), Config(command_minutes=0.01))
    started = time.monotonic()
    assert str(catch_bad_proposal(agent, brief)) == "the command did not end within 0.01 minutes"
    assert time.monotonic() - started < 60 and not running("sleep\x00471")


def test_a_deadline_of_the_session_cuts_it_short(brief: Brief) -> None:
    agent = create("command:sleep 100", Config(), Services(seconds_left=lambda: 1.0))
    assert str(catch_bad_proposal(agent, brief)).startswith("the command did not end within 0.01")


def test_a_daemon_does_not_outlive_it(agent_spec: Callable[[str], str], brief: Brief) -> None:
    daemon = "setsid sh -c 'while :; do echo late >> train.py; sleep 0.0421; done' >/dev/null 2>&1 &"
    proposal = create(agent_spec(f"{GOOD}\n{daemon}\nsleep 0.2")).propose(brief)
    assert "SMOOTHING = 0.25" in proposal.text or "late" in proposal.text
    assert not running("sleep\x000.0421")


def test_a_flood_of_output_costs_nothing(agent_spec: Callable[[str], str], brief: Brief) -> None:
    started = time.monotonic()
    proposal = create(agent_spec(f"head -c 100000000 /dev/zero; {GOOD}; echo the end")).propose(brief)
    output = entry(proposal, "command")["output"]
    assert len(output) < command_agent.MAX_LOG_BYTES + 100 and "bytes cut" in output and output.endswith("the end\n")
    assert time.monotonic() - started < 60


def test_a_full_disk_is_prevented(
    agent_spec: Callable[[str], str], brief: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_agent, "MAX_FILES", 50)
    monkeypatch.setattr(command_agent, "COUNT_EVERY_S", 0.1)
    assert "wrote more than" in str(
        catch_bad_proposal(create(agent_spec("mkdir d; seq 1000 | sed s,^,d/, | xargs touch; sleep 9")), brief)
    )
    monkeypatch.setattr(command_agent, "MAX_FILES", 50_000)
    monkeypatch.setattr(command_agent, "MAX_FOLDER_BYTES", 1 << 20)
    assert "wrote more than" in str(
        catch_bad_proposal(create(agent_spec("head -c 9000000 /dev/zero > ../f; sleep 9")), brief)
    )


def test_nothing_of_ours_can_be_read_or_written(
    agent_spec: Callable[[str], str],
    brief: Brief,
    bytes_data: Dataset,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(repository)
    trial = repository / "runs" / "t" / "1"
    trial.mkdir(parents=True)
    (trial / "trial-0.json").write_text("treasure")
    with sqlite3.connect(repository / "runs" / "ledger.db") as ledger:
        ledger.execute("create table treasure (x)")
    (repository / "prepare.py").write_text("treasure")
    rows, home = bytes_data.root / "held" / "val.bin", Path.home()
    secrets = [
        rows,
        repository / "train.py",
        repository / ".git" / "HEAD",
        repository / "runs" / "ledger.db",
        trial / "trial-0.json",
    ]
    attempts = [f"cat {path} && echo BREACH" for path in secrets]
    attempts += [f"ls {path} && echo BREACH" for path in (repository, bytes_data.root, home, "/tmp", "/var/tmp")]
    attempts += [
        f"echo hacked >> {path} && echo BREACH"
        for path in (repository / "prepare.py", rows, "/tmp/hacked", home / "hacked")
    ]
    attempts += [f"ln {rows} stolen && echo BREACH", f"ln -s {rows} stolen; cat stolen && echo BREACH"]
    attempts += [f"ls /proc/{os.getpid()}/fd/ && echo BREACH", f"cat /proc/{os.getpid()}/environ && echo BREACH"]
    proposal = create(agent_spec("\n".join([*attempts, GOOD]))).propose(brief)
    output = entry(proposal, "command")["output"]
    assert "BREACH" not in output and "treasure" not in output
    assert (repository / "prepare.py").read_text() == "treasure" and "SMOOTHING = 0.25" in proposal.text


def test_what_was_made_of_the_data_in_another_way_cannot_be_opened_either(
    bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = bytes_data.root.parents[1]
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(cache))
    serve_token_file().write_text("secret")
    for opened in (cache, serve_token_file(), bytes_data.root / "held", Path.cwd(), Path("/"), Path.cwd() / ".git"):
        with pytest.raises(UsageError, match="the command may not read"):
            create("command:true", Config(command_read=[str(opened)]))
    with pytest.raises(UsageError, match="absolute path that exists"):
        create("command:true", Config(command_read=["elsewhere"]))
    with pytest.raises(UsageError, match="the command may not read"):
        create(f"command:cat {bytes_data.root / 'held' / 'val.bin'}")


def test_of_a_library_that_holds_validation_text_only_some_files_can_be_read(
    agent_spec: Callable[[str], str], brief: Brief
) -> None:
    library = Path(sysconfig.get_path("stdlib"))
    agent = create(
        agent_spec(f"head -1 {library}/os.py; cat {library}/this.py && echo BREACH; {GOOD}"),
        services=Services(readable_library=["os.py"]),
    )
    output = entry(agent.propose(brief), "command")["output"]
    assert output.startswith('r"""OS routines') and "BREACH" not in output


@pytest.mark.slow
def test_a_hostile_command_costs_one_proposal_of_a_session(
    agent_spec: Callable[[str], str], repository: Path, bytes_data: Dataset, quick: Settings
) -> None:
    spec = agent_spec(f"if grep -q 'exit status 3' BRIEF.md; then {GOOD}; else sleep 99 & exit 3; fi")
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = session_of(repository, store, create(spec), quick, bytes_data, limits=Limits(max_experiments=1))
        assert session.run() == "max experiments"
        first = store.experiments(session.context.id)[1]
        broken = [event.text for event in store.events(session.context.id) if event.kind == "broken"]
    assert broken == ["command: the command ended with exit status 3"]
    assert (first.agent, first.model, first.state) == ("command", "agent.sh", "settled") and first.val_bpb is not None
    assert "BRIEF.md" in (repository / "runs" / "t" / "1" / "trace.jsonl").read_text()


def test_no_device_is_there_but_the_harmless_ones(agent_spec: Callable[[str], str], brief: Brief) -> None:
    devices = [
        str(path)
        for pattern in ("nvidia*", "dri/*", "kfd", "dxg", "ptmx", "fuse", "loop*")
        for path in Path("/dev").glob(pattern)
    ]
    tries = "\n".join(f"(: < {device}) && echo BREACH" for device in devices)
    output = entry(
        create(agent_spec(f"{tries}\nnvidia-smi && echo BREACH\necho $CUDA_VISIBLE_DEVICES; {GOOD}")).propose(brief),
        "command",
    )["output"]
    assert devices and "BREACH" not in output


def running(words: str) -> bool:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_text())
        except OSError:
            continue
    return any(words in each for each in found)


# --- keys


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's home folder with a tool `claude` and a login, and a key in the environment."""
    folder = tmp_path / "home"
    (folder / ".claude").mkdir(parents=True)
    (folder / ".claude" / ".credentials.json").write_text('{"refreshToken": "sesame-open-0123456789"}')
    (folder / ".claude" / "settings.json").write_text('{"model": "opus"}')
    (folder / ".ssh").mkdir()
    tool = folder / "lib" / "node_modules" / "claude-code" / "cli.sh"
    tool.parent.mkdir(parents=True)
    tool.write_text(
        "#!/usr/bin/env sh\nenv; cat ~/.claude/.credentials.json; ls -A ~ ~/.claude; "
        f'echo "$*"; . {tool.parent}/more.sh\n'
    )
    (tool.parent / "more.sh").write_text(GOOD)
    tool.chmod(0o755)
    (folder / "bin").mkdir()
    (folder / "bin" / "claude").symlink_to(tool)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
    monkeypatch.setenv("OPENAI_API_KEY", "another-tools-key")
    monkeypatch.setenv("MY_KEY", "key-of-my-own-tool")
    yield folder


def output_of(spec: str, brief: Brief, **settings: Any) -> str:
    return str(entry(create(spec, Config(**settings)).propose(brief), "command")["output"])


def test_a_preset_gets_its_own_login_and_only_that(home: Path, brief: Brief) -> None:
    output = output_of("command:claude", brief, model="haiku")
    assert "--permission-mode acceptEdits" in output and "--model haiku" in output and "BRIEF.md" in output
    assert '"refreshToken": "[secret]"' in output and "settings.json" in output and ".ssh" not in output
    assert (
        "OPENAI_API_KEY" not in output
        and "MY_KEY" not in output
        and str(home) not in output.replace(f"{home}/bin", "").replace(f"{home}/lib", "")
    )


def test_with_a_key_in_the_environment_no_login_is_copied(
    home: Path, brief: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789abcdef")
    output = output_of("command:claude", brief)
    assert "ANTHROPIC_API_KEY=[secret]" in output and "refreshToken" not in output and "0123456789abcdef" not in output


def test_other_commands_get_no_key_unless_it_is_named(
    home: Path, brief: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789abcdef")
    output = output_of(f"command:env; {GOOD}", brief)
    assert "API_KEY" not in output and "MY_KEY" not in output
    assert "MY_KEY=[secret]" in output_of(f"command:env; {GOOD}", brief, command_env=["MY_KEY"])


def test_a_key_in_the_last_words_of_a_command_is_not_kept(agent_spec: Callable[[str], str], brief: Brief) -> None:
    key, calls = "sk-ant-" + "0" * 20, list[CallRecord]()
    agent = create(agent_spec(f"echo wrong key {key}; exit 3"), services=Services(on_call=calls.append))
    assert key not in str(catch_bad_proposal(agent, brief))
    assert key not in str(calls) and "wrong key" in str(calls[-1].error)


def test_a_key_in_train_py_is_not_kept(home: Path, brief: Brief) -> None:
    agent = create("command:echo \"KEY = '$MY_KEY'\" >> train.py", Config(command_env=["MY_KEY"]))
    bad = catch_bad_proposal(agent, brief)
    assert "looks like a key" in str(bad) and "key-of-my-own-tool" not in str(bad.trace)


def test_what_claude_code_says_it_cost_is_the_cost(home: Path, brief: Brief) -> None:
    (home / "lib/node_modules/claude-code/more.sh").write_text(
        f'{GOOD}; echo \'{{"total_cost_usd": 0.0421, "result": "done"}}\''
    )
    assert create("command:claude").propose(brief).cost_usd == 0.0421
    assert create(f"command:echo '\"total_cost_usd\": 1'; {GOOD}").propose(brief).cost_usd is None
