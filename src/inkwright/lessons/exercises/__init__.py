"""Exercises: a file with a task, filled in by a learner, and a check that names the first wrong element."""

from inkwright.lessons.exercises.catalog import EXERCISES
from inkwright.lessons.exercises.exercise import Exercise, Wrong
from inkwright.lessons.exercises.running import Verdict, check, hint, start

__all__ = ["EXERCISES", "Exercise", "Verdict", "Wrong", "check", "hint", "start"]
