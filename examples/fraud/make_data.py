"""Write payments and the labels of those to be judged: python make_data.py

Seven thousand payments of 120 cards in a hundred days. One in twenty is fraud, of two kinds: a single large payment
abroad, and a burst of small ones within minutes. The first is usual at the start, the second at the end: it drifts.
Cards of group 1 are defrauded more often than those of group 0.
"""

import math
import random
from pathlib import Path

DAY, DAYS, CARDS = 24 * 60, 100, 120
PAYMENTS = 57  # of a card, on average
RANDOM = random.Random(13)
HEADER = "minute,card,amount,category,abroad,group"
ENDS = {"train": 40, "validation": 70, "sealed": 100}  # days


def uniform(low, high):
    return low + (high - low) * RANDOM.random()  # the one function whose values no version of Python changes


def bell():
    return sum(RANDOM.random() for _ in range(12)) - 6


def amount(typical):
    return max(int(typical * math.exp(0.7 * bell())), 1)


def payments_of(card):
    """Yield payments of a card: minute, card, amount, category, abroad, group, fraud."""
    group = int(RANDOM.random() < 0.35)
    typical, usual = math.exp(uniform(2, 4.5)), int(uniform(0, 6))
    for _ in range(int(uniform(0.5, 1.5) * PAYMENTS)):
        minute = int(int(uniform(0, DAYS)) * DAY + 60 * ((14 + 4 * bell()) % 24))
        category = usual if RANDOM.random() < 0.4 else int(uniform(0, 6))
        yield minute, card, amount(typical), category, int(RANDOM.random() < (0.06)), group, 0
    for _ in range(int(uniform(0.4, 2.0) + 2.2 * group)):
        yield from fraud_of(card, group, typical)


def fraud_of(card, group, typical):
    day = int(uniform(0, DAYS))
    start = day * DAY + uniform(0, DAY)
    if RANDOM.random() < day / DAYS:
        for _ in range(int(uniform(3, 7))):
            start += uniform(1, 12)
            yield int(start), card, amount(0.8 * typical), int(uniform(3, 6)), int(RANDOM.random() < 0.1), group, 1
    else:
        for _ in range(int(uniform(1, 3))):
            start += uniform(100, 2000)
            yield int(start), card, amount(2.5 * typical), int(uniform(0, 6)), int(RANDOM.random() < 0.6), group, 1


payments = sorted(payment for card in range(CARDS) for payment in payments_of(card))
begin = 0
for name, end in ENDS.items():
    rows = [payment for payment in payments if begin * DAY <= payment[0] < end * DAY]
    shown = rows if name == "train" else [payment[:-1] for payment in rows]
    header = HEADER + ",fraud" * (name == "train")
    lines = [header, *(",".join(map(str, payment)) for payment in shown)]
    Path(f"data/{name}.csv").write_text("\n".join(lines) + "\n")
    if name != "train":
        Path(f"hidden/{name}.txt").write_text("".join(f"{payment[-1]}\n" for payment in rows))
    begin = end
