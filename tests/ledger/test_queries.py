import os
import time

import pytest

from autoresearch import ledger as package
from autoresearch.ledger import Ledger, breakdown
from autoresearch.ledger.queries import PaceOfWork
from autoresearch.ledger.trials import judging

LOG_KEYS = (  # the interface of `log --json`
    "n sha parent origin verdict reason val_bpb delta sigma p_gain trials agent model category hypothesis"
    " predicted lines_added lines_removed cost_usd program_hash started seconds"
)
STATUS_KEYS = (  # and of `status --json`
    "tag branch state stop_reason experiments kept base_bpb best_bpb best_sha sigma grade started deadline"
    " cost_usd time_split seconds slots error verdicts agent judge budget"
)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger


@pytest.fixture
def session(ledger):
    session = ledger.create_session("t", "autoresearch/t", "b" * 40, "sweep", "default", {"budget": "5m"}, {}, 7)
    return ledger.update_session(session.id, pid=os.getpid(), grade="WEAK")


def trial(ledger, experiment, outcome="ok", val_bpb=None, purpose="screen", lasted=10.0, **result):
    """A finished trial that lasted so long, whatever the clock of this test says."""
    row = ledger.start_trial(experiment.session_id, experiment.id, purpose, 1, "blob")
    ledger.end_trial(row.id, outcome, val_bpb, result)
    ledger.connection.execute("UPDATE trials SET ended = started + ? WHERE id = ?", (lasted, row.id))


def settled(ledger, session, n, verdict, **columns):
    values = {"state": "settled", "settled": time.time() + n, "sha": f"{n:040x}"} | columns
    return ledger.add_experiment(session.id, n, verdict=verdict, **values)


def base(ledger, session, scores=(1.5, 1.7)):
    experiment = settled(ledger, session, 0, "keep", val_bpb=1.6, sigma=0.1, hypothesis="the base", reason="the base")
    for score in scores:
        trial(ledger, experiment, val_bpb=score, purpose="base", peak_vram_mb=1024.0)
    return experiment


# --- log


def test_experiment_rows_have_everything_that_log_json_promises(ledger, session):
    base(ledger, session)
    near = {"near_miss": True, "p_gain": 0.3}
    experiment = settled(ledger, session, 1, "discard", parent=0, val_bpb=1.55, params={"A": 1}, **near)
    trial(ledger, experiment, val_bpb=1.55, lasted=10)
    trial(ledger, experiment, val_bpb=1.56, lasted=20, purpose="rerun")
    rows = package.experiment_rows(ledger, session)
    assert all(row.as_json().keys() >= set(LOG_KEYS.split()) for row in rows)
    assert [(row.n, row.trials, round(row.seconds, 3)) for row in rows] == [(0, 2, 20), (1, 2, 30)]
    assert rows[1].near_miss is True and rows[1].parent == 0 and rows[1].sha == f"{1:040x}"
    assert rows[0].started > 0


def test_experiment_rows_can_be_of_one_verdict_and_are_of_one_session(ledger, session):
    base(ledger, session)
    settled(ledger, session, 2, "keep")
    settled(ledger, session, 1, "crash")
    ledger.add_experiment(session.id, 3)
    other = ledger.create_session("other", "b", "c", "a", "j", {}, {}, 1)
    trial(ledger, settled(ledger, other, 0, "keep"), val_bpb=1.0)
    assert [row.n for row in package.experiment_rows(ledger, session)] == [0, 1, 2, 3]
    assert [row.n for row in package.experiment_rows(ledger, session, "keep")] == [0, 2]
    assert [row.trials for row in package.experiment_rows(ledger, other)] == [1]
    untried = package.experiment_rows(ledger, session)[3]
    assert (untried.verdict, untried.trials, untried.seconds) == (None, 0, 0.0)


def test_trials_that_did_not_end_by_themselves_do_not_count(ledger, session):
    experiment = settled(ledger, session, 1, "discard")
    ledger.start_trial(session.id, experiment.id, "screen", 1, "blob")
    ledger.abandon_open_trials(session.id)
    trial(ledger, experiment, val_bpb=1.0, lasted=5)
    ledger.start_trial(session.id, experiment.id, "rerun", 1, "blob")
    row = package.experiment_rows(ledger, session)[0]
    assert row.trials == 1 and row.seconds == pytest.approx(5)


# --- status


def test_status_has_everything_that_status_json_promises(ledger, session):
    shown = package.status(ledger, session, time.time())
    assert shown.as_json().keys() >= set(STATUS_KEYS.split())
    assert shown.time_split.keys() == {"train", "score", "setup", "filler", "idle", "agent_wait", "total"}
    assert (shown.experiments, shown.kept, shown.base_bpb, shown.best_sha) == (0, 0, None, None)
    assert (shown.budget, shown.grade, shown.state) == ("5m", "WEAK", "running")


def test_status_counts_and_names_the_incumbent(ledger, session):
    experiment = base(ledger, session)
    trial(ledger, experiment, "ok", 9.0, purpose="sentinel")
    trial(
        ledger, experiment, "ok", 9.0, purpose="total", train_seconds=1000.0
    )  # measured again later: no part of the session
    for n, verdict in enumerate(["discard", "keep", "crash", "keep", "discard", "duplicate"], start=1):
        settled(ledger, session, n, verdict, val_bpb=1.6 - n / 100, sigma=n / 1000 if n < 4 else None)
    ledger.add_experiment(session.id, 7, verdict="keep", state="decided", val_bpb=0.5)
    shown = package.status(ledger, session, time.time())
    assert shown.base_bpb == pytest.approx(1.6)
    assert shown.time_split["train"] == 0 and package.experiment_rows(ledger, session)[0].trials == 3
    assert (shown.best_bpb, shown.best_sha) == (pytest.approx(1.56), f"{4:040x}")
    assert (shown.experiments, shown.kept, shown.sigma) == (6, 2, 0.003)
    assert shown.verdicts == {"discard": 2, "keep": 2, "crash": 1, "duplicate": 1}


def test_the_base_is_the_best_until_something_is_kept(ledger, session):
    base(ledger, session)
    settled(ledger, session, 1, "discard", val_bpb=1.0)
    shown = package.status(ledger, session, time.time())
    assert (shown.best_bpb, shown.best_sha) == (1.6, f"{0:040x}")


def test_the_cost_is_unknown_as_soon_as_one_call_is(ledger, session):
    def cost():
        return package.status(ledger, session, time.time()).cost_usd

    assert cost() == 0
    settled(ledger, session, 1, "discard", cost_usd=0.5)  # an agent that makes no calls of ours
    settled(ledger, session, 2, "discard", cost_usd=9.0)
    ledger.add_call(session.id, n=2, cost_usd=0.25)
    ledger.add_call(session.id, n=2, cost_usd=0.75)
    assert cost() == 1.5
    ledger.add_call(session.id, n=3, cost_usd=None)
    assert cost() is None
    for model in ("b", "a", "b"):
        ledger.add_call(session.id, n=4, model=model, cost_usd=None)
    ledger.add_call(session.id, n=4, model="priced", cost_usd=1.0)
    assert package.status(ledger, session, time.time()).unpriced == ["a", "b"]


def taken_over(ledger, session, **columns):
    """The session, as another process left it."""
    ledger.update_session(session.id, pid=None)
    return ledger.update_session(session.id, **columns)


def test_a_session_without_its_process_is_interrupted(ledger, session):
    gone = taken_over(ledger, session, pid=2**22 + 1)
    assert package.status(ledger, gone, time.time()).state == "interrupted"
    ended = ledger.update_session(session.id, state="ended")
    assert package.status(ledger, ended, time.time()).state == "ended"


# --- time


def at(ledger, table, when):
    """Move the last row of a table to another time."""
    column = {"events": "at", "spans": "began", "trials": "started"}[table]
    ledger.connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = (SELECT max(id) FROM {table})", (when,))


def test_time_is_split_and_the_rest_is_idle(ledger, session):
    began = time.time() - 100
    at(ledger, "spans", began)
    experiment = base(ledger, session, scores=())
    trial(ledger, experiment, val_bpb=1.5, train_seconds=30.0, setup_seconds=5.0, score_seconds=10.0)
    trial(ledger, experiment, "crash", train_seconds=10.0, setup_seconds=5.0)
    ledger.event(session.id, "proposed", "x", data={"seconds": 70.0})  # while a trial ran
    ledger.event(session.id, "waited", "x", data={"seconds": 7.0})
    split = package.status(ledger, session, began + 100).time_split
    assert split == {
        "train": 40,
        "setup": 10,
        "score": 10,
        "filler": 0,
        "agent_wait": 7,
        "total": 0,
        "idle": pytest.approx(33),
    }
    running = ledger.start_trial(session.id, experiment.id, "screen", 1, "b")
    split = package.status(ledger, session, running.started + 20).time_split
    assert split["train"] == pytest.approx(60)
    ledger.start_trial(session.id, experiment.id, "screen", 2, "b")
    shown = package.status(ledger, session, running.started + 20).trial
    assert (shown.seed, shown.others) == (1, 1)


def test_time_between_two_processes_is_not_idle_time(ledger, session):
    at(ledger, "spans", 1000.0)
    ledger.event(session.id, "trial", "x")
    at(ledger, "events", 1060.0)  # killed after this
    ledger.post(session.id, "note", "are you there?")
    at(ledger, "events", 5000.0)
    taken_over(ledger, session, pid=1)
    at(ledger, "spans", 9000.0)
    ledger.event(session.id, "trial", "y")
    at(ledger, "events", 9030.0)
    ended = ledger.update_session(session.id, state="ended", ended=9040.0)
    assert package.status(ledger, ended, 20_000.0).time_split["idle"] == pytest.approx(60 + 40)
    gone = taken_over(ledger, session, pid=2**22 + 1, state="running")
    at(ledger, "spans", 10_000.0)
    assert package.status(ledger, gone, 20_000.0).time_split["idle"] == pytest.approx(60 + 30)


def test_the_honest_total_of_the_session_is_part_of_it_and_what_was_asked_for_later_is_not(ledger, session):
    experiment = base(ledger, session, scores=())
    at(ledger, "spans", 1000.0)
    for purpose, began in (("total", 1050.0), ("total", 1060.0), ("total", 8000.0), ("ablate", 9000.0)):
        row = ledger.start_trial(session.id, experiment.id, purpose, 1, "b")
        ledger.end_trial(row.id, "ok", 1.5, {"train_seconds": 5.0, "total_seconds": 9.0})
        ledger.connection.execute("UPDATE trials SET started = ?, ended = ? WHERE id = ?", (began, began + 9, row.id))
    for kind in ("review", "ablation", "total"):
        ledger.event(session.id, kind, "x", n=0)
        at(ledger, "events", 9500.0)
    ended = ledger.update_session(session.id, state="ended", ended=1100.0)
    split = package.status(ledger, ended, 20_000.0).time_split
    assert (split["total"], split["train"], split["idle"]) == (18, 0, 82)
    assert package.trial_seconds(ledger, session) == [] and package.experiment_rows(ledger, session)[0].trials == 0
    taken_over(ledger, session, pid=1, state="running")
    at(ledger, "spans", 10_000.0)
    gone = ledger.update_session(session.id, state="ended", ended=10_040.0)
    assert sum(package.status(ledger, gone, 20_000.0).time_split.values()) == pytest.approx(40)


def test_the_honest_total_stays_part_of_a_session_that_is_gone_on_with(ledger, session):
    experiment = base(ledger, session, scores=())
    at(ledger, "spans", 1000.0)
    row = ledger.start_trial(session.id, experiment.id, "total", 1, "b")
    ledger.end_trial(row.id, "ok", 1.5, {"train_seconds": 5.0})
    ledger.connection.execute("UPDATE trials SET started = 1050, ended = 1059")
    ledger.event(session.id, "ended", "deadline")
    at(ledger, "events", 1060.0)
    taken_over(ledger, session, pid=1, state="running")
    at(ledger, "spans", 10_000.0)
    gone = ledger.update_session(session.id, state="ended", ended=10_040.0)
    split = package.status(ledger, gone, 20_000.0).time_split
    assert (split["total"], split["idle"]) == (9, 91)


def test_a_session_on_two_slots_is_as_long_as_its_clock_says(ledger, session):
    taken_over(ledger, session, pid=1, state="running", slots=2)
    at(ledger, "spans", 1000.0)
    experiment = base(ledger, session, scores=())
    for _ in range(2):
        trial(ledger, experiment, val_bpb=1.5, train_seconds=90.0)
    ledger.connection.execute("DELETE FROM spans WHERE pid != 1")
    ended = ledger.update_session(session.id, state="ended", ended=1100.0)
    shown = package.status(ledger, ended, 20_000.0)
    assert (shown.seconds, shown.slots, shown.time_split["train"], shown.time_split["idle"]) == (
        100,
        2,
        180,
        20,
    )


# --- what people and the machine said


def test_status_knows_reviews_keeps_that_are_no_gain_and_what_the_machine_did(ledger, session):
    experiment = base(ledger, session)
    settled(ledger, session, 1, "keep", reason="2 fresh re-runs confirm it: -0.1 (-9 sigma)", delta=-0.1)
    settled(ledger, session, 2, "keep", reason="less code for the same score, on 2 fresh re-runs: +0.1", delta=0.1)
    settled(ledger, session, 3, "discard", reason="less code, and not clearly worse")
    quiet = package.status(ledger, session, time.time())
    assert (quiet.kept, quiet.simpler, quiet.lost, quiet.drift) == (2, 1, 0, None)
    for accepted in (True, False):
        data = {"accepted": accepted, "note": "as it is", "by": "me", "at": 1.0}
        ledger.event(session.id, "review", "x", n=1, data=data)
    ledger.event(session.id, "review", "accepted", n=2)
    trial(ledger, experiment, "infra", purpose="sentinel")
    for text in ("older", "newer"):
        ledger.event(session.id, "drift", text, n=1)
    shown = package.status(ledger, session, time.time())
    assert shown.reviews == {"accepted": 1, "rejected": 1} and shown.lost == 1
    assert (shown.drift.n, shown.drift.text) == (1, "newer")
    rows = package.experiment_rows(ledger, session)
    assert [(row.simpler, row.review) for row in rows] == [
        (False, None),
        (False, "rejected"),
        (True, "accepted"),
        (False, None),
    ]
    assert breakdown.sum_groups(rows, [], "category")[0].gain == pytest.approx(0.1)
    whole = breakdown.sum_all(rows, [], "category")
    assert whole.key == "all" and whole.gain == pytest.approx(0.1) and whole.experiments == len(rows) - 1
    assert package.reviews(ledger, session.id)[1].by == "me"


# --- results.tsv


def test_results_tsv_is_the_originals(ledger, session):
    base(ledger, session)
    kept = settled(ledger, session, 1, "keep", val_bpb=1.4999996, hypothesis="a\tbetter\nrate")
    trial(ledger, kept, val_bpb=1.5, peak_vram_mb=45060.2)
    settled(ledger, session, 2, "discard", val_bpb=1.7, hypothesis="wider")
    trial(ledger, settled(ledger, session, 3, "crash", hypothesis="boom"), "oom", peak_vram_mb=80000.0)
    settled(ledger, session, 4, "duplicate", hypothesis="again", reason="the same program as experiment 2")
    settled(ledger, session, 5, "discard", val_bpb=1.8)
    settled(ledger, session, 6, "discard", hypothesis="waited", reason="superseded by experiment 1")
    ledger.add_experiment(session.id, 7)
    assert package.results_tsv(ledger, session).split("\n") == [
        "commit\tval_bpb\tmemory_gb\tstatus\tdescription",
        "0000000\t1.600000\t1.0\tkeep\tbaseline",
        "0000000\t1.500000\t44.0\tkeep\ta better rate",
        "0000000\t1.700000\t0.0\tdiscard\twider",
        "0000000\t0.000000\t0.0\tcrash\tboom",
        "0000000\t0.000000\t0.0\tcrash\tagain (duplicate: the same program as experiment 2)",
        "0000000\t1.800000\t0.0\tdiscard\texperiment 5",
        "",
    ]


@pytest.mark.parametrize(
    ("hypothesis", "cell"),
    [
        ('=HYPERLINK("https://evil.example/","more")', "'=HYPERLINK('https://evil.example/','more')"),
        ("\t\r\n =1+1", "'=1+1"),
        ("\u200b=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("depth = 4", "depth = 4"),
        ("\uff1d1+1", "'\uff1d1+1"),
    ],
)
def test_no_cell_of_results_tsv_is_a_formula(ledger, session, hypothesis, cell):
    settled(ledger, session, 1, "discard", val_bpb=1.7, hypothesis=hypothesis)
    assert package.results_tsv(ledger, session).splitlines()[1].split("\t")[4] == cell


# --- size


@pytest.mark.slow
def test_ten_thousand_experiments_take_no_more_statements_than_one(ledger, session):
    count = 10_000
    columns = "session_id, n, parent, state, verdict, val_bpb, started, settled, text"
    ledger.connection.execute("BEGIN")
    ledger.connection.executemany(
        f"INSERT INTO experiments ({columns}) VALUES (?, ?, 0, 'settled', 'discard', 1.5, 1.0, ?, ?)",
        ((session.id, n, float(n), "x" * 1000) for n in range(count)),
    )
    columns = "session_id, experiment_id, purpose, seed, blob, outcome, val_bpb, started, ended"
    ledger.connection.executemany(
        f"INSERT INTO trials ({columns}) VALUES (?, ?, 'screen', 1, 'b', 'ok', 1.5, 1.0, 2.0)",
        ((session.id, n % count + 1) for n in range(2 * count)),
    )
    ledger.connection.execute("COMMIT")
    seen = []
    ledger.connection.set_trace_callback(seen.append)
    rows = package.experiment_rows(ledger, session)
    assert len(rows) == count and {row.trials for row in rows} == {2} and len(seen) == 4
    package.results_tsv(ledger, session)
    assert len(seen) == 5
    package.status(ledger, session, time.time())
    assert len(seen) <= 18
    ledger.connection.set_trace_callback(None)


# --- sums


def test_sums_say_what_each_group_cost_and_brought(ledger, session):
    base(ledger, session)
    for n in range(1, 21):
        verdict = "keep" if n in (3, 8) else "crash" if n % 5 == 0 else "discard"
        made = settled(
            ledger,
            session,
            n,
            verdict,
            agent="claude" if n <= 10 else "sweep",
            category="schedule",
            delta=-0.1,
            program_hash="p",
        )
        trial(ledger, made, val_bpb=1.5, lasted=60.0)
        for cost in (0.25, 0.5) if n <= 10 else ():
            ledger.add_call(session.id, n=n, model="m", cost_usd=cost)
    rows, calls = package.experiment_rows(ledger, session), ledger.calls(session.id)
    claude, sweep = breakdown.sum_groups(rows, calls, "agent")
    assert claude.as_json() == {
        "agent": "claude", "experiments": 10, "kept": 2, "failed": 2,
        "near_misses": 0, "promising": 0, "scored": 10, "unmeasured": 0, "gain": pytest.approx(0.2),
        "minutes": pytest.approx(10), "minutes_per_keep": pytest.approx(5), "cost_usd": 7.5, "cost_per_keep": 3.75,
    }  # fmt: skip
    assert sweep.cost_usd == 0 and sweep.cost_per_keep is None and sweep.minutes_per_keep is None
    assert [row.key for row in breakdown.sum_groups(rows, calls, "decile")] == [str(k) for k in range(1, 11)]
    assert [row.key for row in breakdown.sum_groups(rows, calls, "model")] == ["-"] and len(
        breakdown.sum_groups(rows, calls, "program")
    ) == 1
    ledger.add_call(session.id, n=4, model="m", cost_usd=None)
    assert breakdown.sum_groups(rows, ledger.calls(session.id), "category")[0].cost_usd is None


def test_proposals_of_one_conversation_share_its_cost_once(ledger, session):
    base(ledger, session)
    for n in (1, 2, 3):
        settled(ledger, session, n, "discard", agent="claude", cost_usd=0.1, params={"conversation": 1})
    settled(ledger, session, 4, "discard", agent="claude", cost_usd=0.5)
    ledger.add_call(session.id, n=1, purpose="propose", cost_usd=0.3)
    ledger.add_call(session.id, n=4, purpose="propose", cost_usd=0.5)
    rows, calls = package.experiment_rows(ledger, session), ledger.calls(session.id)
    assert [row.conversation for row in rows] == [None, 1, 1, 1, None]
    assert package.status(ledger, session, time.time()).cost_usd == pytest.approx(0.8)
    assert breakdown.sum_groups(rows, calls, "agent")[0].cost_usd == pytest.approx(0.8)


def test_fillers_have_their_own_time_and_one_that_ended_early_is_not_lost(ledger, session):
    began = time.time() - 100
    at(ledger, "spans", began)
    experiment = base(ledger, session, scores=())
    trial(ledger, experiment, val_bpb=1.5, lasted=20, train_seconds=18.0)
    trial(ledger, experiment, val_bpb=1.5, purpose="filler", lasted=19, train_seconds=18.0)
    trial(ledger, experiment, "infra", purpose="filler", lasted=4, train_seconds=3.0, ended_early=True)
    shown = package.status(ledger, session, began + 100)
    assert (shown.time_split["filler"], shown.time_split["train"], shown.lost) == (pytest.approx(23), 18, 0)
    running = ledger.start_trial(session.id, experiment.id, "filler", 1, "blob")
    shown = package.status(ledger, session, running.started + 5)
    assert shown.time_split["filler"] == pytest.approx(28) and shown.trial is not None
    ledger.abandon_open_trials(session.id)  # of a program that was killed
    assert package.status(ledger, session, time.time()).lost == 0
    assert len(judging(ledger.trials(session.id))) == 2


def test_the_pace_of_work_leaves_fillers_out(ledger, session):
    assert package.pace_of_work(ledger, session, 5) == PaceOfWork(None, None)
    experiment = base(ledger, session, scores=())
    trial(ledger, experiment, val_bpb=1.5, purpose="base", total_seconds=20.0)
    assert package.pace_of_work(ledger, session, 5) == PaceOfWork(20.0, None)
    for purpose in ("screen", "rerun", "sentinel", "screen"):
        trial(ledger, experiment, val_bpb=1.5, purpose=purpose, total_seconds=20.0)
    trial(ledger, experiment, "infra", purpose="filler", total_seconds=1.0)
    ledger.event(session.id, "proposed", "x", data={"seconds": 50.0})
    ledger.event(session.id, "proposed", "y", data={"conversation": 1})
    ledger.event(session.id, "broken", "z", data={"seconds": 70.0})
    assert package.pace_of_work(ledger, session, 5) == PaceOfWork(20.0, 60.0)
