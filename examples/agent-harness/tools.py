"""Tools of the agent. Each raises ValueError for a call that it does not understand."""

import ast
import datetime
import operator

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def calculator(call):
    """Return the value of a sum such as 12 * 30 + 4."""

    def value(node):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise ValueError("only + - * of numbers")

    try:
        return str(value(ast.parse(call.strip(), mode="eval").body))
    except SyntaxError as error:
        raise ValueError(str(error)) from None


def calendar(call):
    """Return the number of days from one date to another, such as 2027-01-31 2027-03-02."""
    first, last = (datetime.date.fromisoformat(word) for word in call.split())
    return str((last - first).days)


def spelling(call):
    """Return a word backwards, or how often a letter is in it, such as `reverse lamp` or `count a lamp`."""
    match call.split():
        case ["reverse", word]:
            return word[::-1]
        case ["count", letter, word]:
            return str(word.count(letter))
    raise ValueError("`reverse WORD` or `count LETTER WORD`")


TOOLS = {"calculator": calculator, "calendar": calendar, "spelling": spelling}
