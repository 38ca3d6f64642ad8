"""List the lessons of a file with their state and what was measured with them and without them."""

from dataclasses import dataclass

from autoresearch.brief.lesson_choice import UNTRIED, LessonChooser, LessonRecord, state_of
from autoresearch.brief.lessons import Lesson

STATES = ("yours", "shown", "new", "expired")  # in the order of the list


@dataclass(frozen=True)
class ListedLesson:
    """A lesson with its state and its record."""

    lesson: Lesson
    state: str
    record: LessonRecord

    @property
    def text(self) -> str:
        """Return its words without the sign of the list and without its evidence."""
        words = self.lesson.line.removeprefix("- ")
        return words.rpartition(f" [{self.lesson.key},")[0] if self.lesson.key else words


def list_lessons(chooser: LessonChooser) -> list[ListedLesson]:
    """Return all lessons of a file by state, of each state the most probable help first."""
    found = [_list(lesson, chooser) for lesson in chooser.lessons.read()]
    return sorted(found, key=lambda each: (STATES.index(each.state), -each.record.p_helps))


def _list(lesson: Lesson, chooser: LessonChooser) -> ListedLesson:
    record = chooser.records.get(lesson.key, UNTRIED)
    return ListedLesson(lesson, state_of(lesson, chooser.records, chooser.restored), record)
