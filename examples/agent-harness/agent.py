"""Answer all tasks, and write the answers to OUT: python agent.py SEED OUT"""

import json
import random
import sys
import tomllib
from pathlib import Path

from tools import TOOLS
from toy_model import ToyModel


def find_route(routing, question):
    """Return the first route one of whose words is in the question; one without words takes all."""
    for route in routing["route"]:
        if not route["words"] or any(word in question for word in route["words"]):
            return route
    sys.exit(f"no route for: {question}")


def answer(routing, question, seed):
    """Return the answer to a question, after at most one call of a tool."""
    route = find_route(routing, question)
    prompt, temperature = Path("prompts", f"{route['prompt']}.md").read_text(), float(routing["temperature"])
    model = ToyModel(prompt, temperature, random.Random(f"{seed if temperature else 0} {prompt} {question}"))
    reply = model.reply(question)
    if not reply.startswith("call "):
        return reply
    name, call = reply.removeprefix("call ").split(": ", 1)
    if name not in route["tools"]:
        return f"there is no tool {name}"
    try:
        return model.conclude(TOOLS[name](call))
    except ValueError as error:
        return f"{name} failed: {error}"


seed, out = sys.argv[1:]
routing = tomllib.loads(Path("routing.toml").read_text())
for name in ("tasks", "sealed"):
    tasks = [json.loads(line) for line in Path(f"{name}.jsonl").read_text().splitlines()]
    rows = [{"task": task["task"], "answer": answer(routing, task["question"], seed)} for task in tasks]
    Path(out, f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if name == "tasks":
        print(*(f"{row['task']}: {row['answer']}" for row in rows[:6]), "...", sep="\n")
