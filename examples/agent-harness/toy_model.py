"""A toy in the place of a language model: it reads prompts for a few habits, and errs as one does.

In its head it slips, the more often the more it has to keep in mind; less so step by step, or at a lower
temperature. It chats, unless it is told what the last line has to be. It calls a tool if the prompt names one, and
writes the call correctly if the prompt shows one. It answers as an example of the prompt does.
"""

import re
from dataclasses import dataclass
from datetime import date

from tools import calculator, calendar, spelling

PRODUCT = re.compile(r"holds (\d+) .* in (\d+) crates and (\d+) single")
DAYS = re.compile(r"after (\d+) (\w+) 2027 is (\d+) (\w+) 2027")
REVERSE = re.compile(r"the word (\w+) backwards")
COUNT = re.compile(r"the letter (\w) in the word (\w+)")
MONTHS = [date(2027, month, 1).strftime("%B") for month in range(1, 13)]


@dataclass(frozen=True)
class Understood:
    """A question as the model understands it: the tool for it, the call, the answer, and the steps in the head."""

    tool: str
    call: str
    answer: str
    steps: int


def understand(question):
    """Return what is asked."""
    if match := PRODUCT.search(question):
        call = f"{match[2]} * {match[1]} + {match[3]}"
        return Understood("calculator", call, calculator(call), 9)
    if match := DAYS.search(question):
        day, month, last_day, last_month = match.groups()
        dates = [f"2027-{MONTHS.index(m) + 1:02}-{int(d):02}" for d, m in ((day, month), (last_day, last_month))]
        months = MONTHS.index(last_month) - MONTHS.index(month)
        return Understood("calendar", " ".join(dates), calendar(" ".join(dates)), 4 + 2 * months)
    if match := REVERSE.search(question):
        return Understood("spelling", f"reverse {match[1]}", match[1][::-1], len(match[1]))
    letter, word = COUNT.search(question).groups()
    return Understood("spelling", f"count {letter} {word}", spelling(f"count {letter} {word}"), 5)


class ToyModel:
    """One conversation about one question."""

    def __init__(self, prompt, temperature, rng):
        self.prompt, self.lower, self.rng = prompt, prompt.lower(), rng
        self.slip = 0.02 + 0.1 * temperature + 0.0002 * max(len(prompt.split()) - 150, 0)  # long prompts distract

    def reply(self, question):
        """Return a tool call, as `call TOOL: TEXT`, or an answer."""
        if example := re.search(rf"{re.escape(question)}\s*(?:A:)?\s*(\S+)", self.prompt):
            return example[1]
        asked = understand(question)
        if f"call {asked.tool}" in self.lower:
            shown = re.search(rf"call {asked.tool}: \S", self.lower)
            return f"call {asked.tool}: {asked.call if self.succeeds(1 if shown else 5) else f'({asked.call}'}"
        careful = "step by step" in self.lower or "one after the other" in self.lower
        return self.say(asked.answer if self.succeeds(asked.steps // (3 if careful else 1)) else self.wrong(asked))

    def conclude(self, result):
        """Return the answer after a tool has returned a result."""
        return self.say(result)

    def say(self, answer):
        """Return an answer with or without chatter."""
        told = re.search(r"(last line|only) [^.]*answer|answer [^.]*(only|last line)", self.lower)
        return answer if self.succeeds(1 if told else 5) else f"The answer is {answer}, I think."

    def succeeds(self, steps):
        return self.rng.random() < (1 - self.slip) ** steps

    def wrong(self, asked):
        if asked.answer.isdigit():
            return str(int(asked.answer) + 1 + int(9 * self.rng.random()))
        return asked.answer[1] + asked.answer[0] + asked.answer[2:]
