"""Whose code a file is: chatlib's own, or that of the program that uses it."""

import os

FOLDER = os.path.dirname(os.path.realpath(__file__)) + os.sep
"""Where chatlib lies, with a separator at the end: `chatlib_homework` beside it is a student's."""

FOLDERS = (FOLDER, os.path.dirname(os.path.abspath(__file__)) + os.sep)
"""The same, and by which path it was imported: Python names its files by that, also where it is a link."""


def is_own(file: str) -> bool:
    """Returns whether a source file, given as an absolute path, belongs to chatlib."""
    return file.startswith(FOLDERS)
