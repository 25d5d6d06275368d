"""Whose code a file is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import SOON

from chatlib import own_code


def test_a_folder_whose_name_begins_alike_is_a_students() -> None:
    """`chatlib_homework` beside the package is none of ours."""
    assert own_code.is_own(own_code.__file__)
    assert not own_code.is_own(own_code.FOLDER.rstrip(os.sep) + "_homework" + os.sep + "server.py")


@pytest.mark.skipif(os.name != "posix", reason="Windows lets few users make links")
def test_the_package_is_known_by_the_path_it_was_imported_by(tmp_path: Path) -> None:
    """Behind a link, Python names its files by the link."""
    (tmp_path / "chatlib").symlink_to(own_code.FOLDER)
    code = "from chatlib.own_code import is_own; print(is_own(is_own.__code__.co_filename))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    told = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=6 * SOON, check=True
    )
    assert told.stdout == "True\n"
