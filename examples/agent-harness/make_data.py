"""Write 60 tasks, 60 sealed ones, and their answers: python make_data.py"""

import datetime
import json
import random
from pathlib import Path

RANDOM = random.Random(20260104)
THINGS = ["bottles", "books", "candles", "apples", "tiles", "chairs", "lamps", "pencils", "plates", "stones"]
MONTHS = [datetime.date(2027, month, 1).strftime("%B") for month in range(1, 13)]
WORDS = """
harbour lantern orchestra window mountain strawberry notebook elephant umbrella gardener telescope adventure
blackboard chocolate dictionary envelope fountain graveyard hurricane instrument
"""


def pick(low, high):
    return low + int((high - low + 1) * RANDOM.random())


def choose(values):
    return values[pick(0, len(values) - 1)]


def product():
    crates, each, single, thing = pick(12, 99), pick(12, 99), pick(2, 99), choose(THINGS)
    question = f"A crate holds {each} {thing}. How many {thing} are in {crates} crates and {single} single ones?"
    return question, str(crates * each + single)


def days():
    dates = sorted(datetime.date(2027, pick(1, 12), pick(1, 28)) for _ in range(2))
    first, last = (f"{date.day} {MONTHS[date.month - 1]}" for date in dates)
    return f"How many days after {first} 2027 is {last} 2027?", str((dates[1] - dates[0]).days)


def letters():
    word = choose(WORDS.split())
    if RANDOM.random() < 0.5:
        return f"Write the word {word} backwards.", word[::-1]
    letter = choose(word)
    return f"How many times is the letter {letter} in the word {word}?", str(word.count(letter))


def write(name, letter, seen):
    """Write tasks that differ, twenty of each kind in turn."""
    tasks, answers = [], []
    while len(tasks) < 60:
        question, answer = (product, days, letters)[len(tasks) % 3]()
        if question not in seen:
            seen.add(question)
            tasks.append({"task": f"{letter}{len(tasks) + 1:02}", "question": question})
            answers.append({"task": tasks[-1]["task"], "answer": answer})
    for path, rows in ((f"{name}.jsonl", tasks), (f"hidden/{name}.jsonl", answers)):
        Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


seen = set()
write("tasks", "t", seen)
write("sealed", "s", seen)
