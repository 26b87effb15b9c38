"""The lessons: seven questions, each with a prediction, one manipulation and a measured answer."""

from fedchain.page.lessons.catalogue import LESSONS, RECORDED, Lesson, lesson_named
from fedchain.page.lessons.contents import LessonContent, contents_of

__all__ = ["LESSONS", "RECORDED", "Lesson", "LessonContent", "contents_of", "lesson_named"]
