"""What a model says in tests, whatever API its server speaks."""

from typing import Any

from support.messages_server import Reply, text, thinking, tool
from support.researcher import EDITOR


def edit(old: str = "SMOOTHING = 0.5", new: str = "SMOOTHING = 0.1") -> dict[str, Any]:
    return tool(EDITOR, command="str_replace", path="train.py", old_str=old, new_str=new)


def propose(**values: Any) -> dict[str, Any]:
    said = {"hypothesis": "less smoothing", "category": "regularisation", "predicted_delta": -0.01, "confidence": 0.7}
    return tool("propose", **{**said, "source": "experiment 1", **values})


GOOD = Reply([thinking("Hm."), text("Less smoothing."), edit(), propose()])
