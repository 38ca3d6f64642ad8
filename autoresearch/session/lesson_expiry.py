"""Mark the lessons that have expired, when a session ends."""

from autoresearch.brief.lesson_choice import describe_record, read_records, state_of
from autoresearch.brief.lessons import Lessons
from autoresearch.ledger.lesson_uses import EXPIRED, expired_lessons, lesson_uses
from autoresearch.session.context import SessionContext


def expire_lessons(context: SessionContext, lessons: Lessons) -> None:
    """Mark lessons in their file that did not help, each once: a person may remove the mark."""
    with context.lock:
        records, known = read_records(lesson_uses(context.ledger)), expired_lessons(context.ledger)
        states = {each.key: state_of(each, records, known) for each in lessons.read() if not each.is_marked}
        words = {key: describe_record(records[key]) for key, state in states.items() if state == EXPIRED}
        lessons.mark(words)
        for key, why in words.items():
            context.emit(EXPIRED, None, f"lesson {key} is no longer shown: {why}", lesson=key)
