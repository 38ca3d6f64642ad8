"""Instructions for a model, by its role and by how it edits; its material is in the brief."""

from autoresearch.agents.rationale import OPENINGS, SOURCES, confidence_words, predicted_words
from autoresearch.agents.trial_tools import Role
from autoresearch.brief.brief import contract_of
from autoresearch.ledger.categories import CATEGORIES
from autoresearch.metric import VAL_BPB, Metric

_FORM = f"""\
Hypothesis: what is changed and why it should help
Category: one of {", ".join(CATEGORIES)}
Predicted: {{predicted}}
Confidence: {{confidence}}
Source: {SOURCES}
Opening: {OPENINGS}
Start from: number of the experiment whose train.py you change, only if it is not the incumbent"""
_BLOCKS = """\
<<<<<<< SEARCH
old lines
=======
new lines
>>>>>>> REPLACE"""
_WORK: dict[tuple[Role, str], str] = {
    ("propose", "tools"): """\
Work with the tools: edit train.py with str_replace_based_edit_tool (the incumbent is shown below, there is no need to \
view it again; `start_from` loads another version), look up experiments with `history` and `show` where that helps, \
use `check` to see whether the version could be measured and how it runs (tools that are listed beside it answer more, \
and cost no experiment), and end with `propose`; if several proposals are wanted, do so for each of them. The search \
continues until its deadline whatever the results: there is always one more change worth trying. Do not ask \
questions.""",
    ("propose", "text"): f"""\
Answer in plain text, in this form:

{_FORM}

and then the change, either as the whole new file in one ```python fence, or as blocks that quote the lines to change \
exactly:

{_BLOCKS}

If several proposals are wanted, begin each of them with a line `Proposal 1`, `Proposal 2` and so on. The search \
continues until its deadline whatever the results: there is always one more change worth trying. Do not ask \
questions.""",
    ("idea", "tools"): """\
You do not edit: a programmer writes the change, and sees only your words. Look up experiments with `history` and \
`show` where that helps, and end with `propose`; its `idea` says exactly what to change, where, and to which values. \
To change another version than the incumbent, choose it with `start_from` first. \
The search continues until its deadline: there is always one more change worth trying. Do not ask questions.""",
    ("idea", "text"): f"""\
You do not edit: a programmer writes the change, and sees only your words. Answer in plain text, in this form:

{_FORM}

and then exactly what to change, where, and to which values. Do not ask questions.""",
    ("code", "tools"): """\
The idea below is by another researcher. Write exactly that change, no other: edit train.py with \
str_replace_based_edit_tool, use `check` to see whether it could be measured, and end with `done`. Do not ask \
questions.""",
    ("code", "text"): f"""\
The idea below is by another researcher. Write exactly that change, no other. Answer either with the whole new file in \
one ```python fence, or with blocks that quote the lines to change exactly:

{_BLOCKS}""",
}


_OF_SEVERAL_FILES = {  # words of `_WORK` that are others where there are several files
    "edit train.py": "edit the files",
    "the incumbent is shown below, there is no need to view it again": "those of the incumbent are shown below",
    "whose train.py you change": "whose version you change",
    "the whole new file in one ```python fence": "whole new files, each in a fence after a line with its path",
    "blocks that quote the lines to change exactly:": "blocks that quote the lines to change exactly, each after a \
line with the path of its file:",
}


def system(role: Role, edit_format: str, task: str | None = None, source: str = "", metric: Metric = VAL_BPB) -> str:
    """Return the instructions, which are the same for all proposals of a session.

    `task` is what several files are for; None: the contract of train.py, whose incumbent is `source`.
    """
    work = _WORK[role, edit_format].replace("{confidence}", confidence_words(metric))
    predicted = "expected change of val_bpb, for example -0.002" if metric == VAL_BPB else predicted_words(metric)
    work = work.replace("{predicted}", predicted)
    if task is None:
        return f"{contract_of(source)}\n\n{work}"
    for one, several in _OF_SEVERAL_FILES.items():
        work = work.replace(one, several)
    return f"{task}\n\n{work}"
