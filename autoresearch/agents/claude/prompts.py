"""How a model is told to work, by its role and by how it edits; what it works on is in the brief."""

from typing import TYPE_CHECKING, Any, Literal

from autoresearch.brief.brief import CONTRACT
from autoresearch.brief.tokens import quote
from autoresearch.ledger.rows import CATEGORIES

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

Role = Literal["propose", "idea", "code"]

_WORK: dict[tuple[Role, str], str] = {
    ("propose", "tools"): """\
Work with the tools: edit train.py with str_replace_based_edit_tool (the incumbent is shown below, there is no need to \
view it again), look up experiments with `history` and `show` where that helps, see with `check` whether the version could \
be measured, and end with `propose`. The search goes on until its deadline whatever the results: there is always one \
more change worth trying. Never ask anything back.""",
    ("propose", "text"): f"""\
Answer in plain text, in this form:

Hypothesis: what you change and why it should help
Category: one of {", ".join(CATEGORIES)}
Predicted: expected change of val_bpb, for example -0.002
Confidence: probability that val_bpb falls at all, 0 to 1
Source: where the idea comes from: an experiment (its n), an idea of ideas.md (idea 3), a paper, your own knowledge

and then the change, either as the whole new file in one ```python fence, or as blocks that quote the lines to change \
exactly:

<<<<<<< SEARCH
old lines
=======
new lines
>>>>>>> REPLACE

The search goes on until its deadline whatever the results: there is always one more change worth trying. Never ask \
anything back.""",
    ("idea", "tools"): """\
You do not edit: a programmer will write the change from your words alone. Look up experiments with `history` and \
`show` where that helps, and end with `propose`; its `idea` says exactly what to change, where, and to which values. \
The search goes on until its deadline: there is always one more change worth trying. Never ask anything back.""",
    ("idea", "text"): f"""\
You do not edit: a programmer will write the change from your words alone. Answer in plain text, in this form:

Hypothesis: what is changed and why it should help
Category: one of {", ".join(CATEGORIES)}
Predicted: expected change of val_bpb, for example -0.002
Confidence: probability that val_bpb falls at all, 0 to 1
Source: where the idea comes from: an experiment (its n), an idea of ideas.md (idea 3), a paper, your own knowledge

and then exactly what to change, where, and to which values. Never ask anything back.""",
    ("code", "tools"): """\
Another researcher had the idea below. Write exactly that change, no other: edit train.py with \
str_replace_based_edit_tool, see with `check` whether it could be measured, and end with `done`. Never ask anything \
back.""",
    ("code", "text"): """\
Another researcher had the idea below. Write exactly that change, no other. Answer either with the whole new file in \
one ```python fence, or with blocks that quote the lines to change exactly:

<<<<<<< SEARCH
old lines
=======
new lines
>>>>>>> REPLACE""",
}


def system(role: Role, edit: str) -> str:
    """The instructions: the same for all proposals of a session."""
    return f"{CONTRACT}\n\n{_WORK[role, edit]}"


def for_coder(brief: "Brief", idea: str) -> list[str]:
    """What the second model gets: the file, then the idea."""
    code = f"# train.py\n\n```python\n{brief.source}```"
    return [code, f"# The idea\n\n{quote('researcher', idea)}"]


def cached(text: str, ttl: Literal["5m", "1h"]) -> dict[str, Any]:
    """A text block after which the prompt is cached."""
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}
