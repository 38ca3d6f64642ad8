"""Name the arm of each experiment, also in sessions that have no arms."""

from collections.abc import Mapping, Sequence

from autoresearch.ledger.rows import POOL, Event, Experiment


def name_arms(rows: Sequence[Experiment]) -> dict[int, str]:
    """Return the arm of each proposal by its number: as recorded, else its agent.

    To the agent come its model, if it had several, and the hash of program.md, if the session had several. A pool has
    no arm: the program made it.
    """
    proposed = [row for row in rows if row.n > 0 and row.agent != POOL]
    models = {(row.agent, row.model) for row in proposed if row.arm is None}
    programs = {row.program_hash for row in proposed if row.arm is None}

    def name(row: Experiment) -> str:
        with_model = row.model and len({model for agent, model in models if agent == row.agent}) > 1
        parts = [row.agent or "-", with_model and row.model, len(programs) > 1 and (row.program_hash or "-")[:8]]
        return row.arm or " ".join(part for part in parts if part)

    return {row.n: name(row) for row in proposed}


def arm_of_event(event: Event, rows: Sequence[Experiment], names: Mapping[int, str]) -> str | None:
    """Return the arm of a broken proposal: as recorded, else that of its agent's nearest experiment."""
    if (arm := event.data.get("arm")) is not None:
        return str(arm)
    agent = event.text.partition(": ")[0]
    own = [row.n for row in rows if row.agent == agent and row.n in names]
    return names[min(own, key=lambda n: abs(n - (event.n or 0)))] if own else None
