"""Is everything there that the lessons need?"""

import importlib.machinery
import importlib.util
import socket
import sys
from typing import Any

import pytest

import chatlib
from chatlib.diagnosis import Finding, Report


def test_it_looks_at_python_the_packages_and_the_network() -> None:
    """Each thing that the lessons need is looked at, once."""
    whats = [finding.what for finding in chatlib.doctor()]
    assert whats == [
        "Python 3.11 or newer",
        *("the package jupyterlab", "the package ipykernel", "the package ipywidgets"),
        *("the package anywidget", "the package psutil", "the package matplotlib"),
        *("a Redis for lesson 13", "a server and a client can talk on 127.0.0.1"),
    ]


def test_the_network_of_this_computer_works() -> None:
    """A real server and a real client talk."""
    assert chatlib.doctor()[-1].ok


def test_a_package_that_is_missing_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that cannot be found is a line with what to do."""
    find = importlib.util.find_spec

    def find_none(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
        return None if name == "anywidget" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_none)
    report = chatlib.doctor()
    assert not report.well
    assert "MISSING the package anywidget: use the Python of .venv" in str(report)
    assert str(report).endswith("Mend what is missing, then ask again.")


def test_a_package_that_is_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all are found, all is well."""
    there = importlib.machinery.ModuleSpec("any", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: there)
    report = chatlib.doctor()
    assert report.well
    assert str(report).splitlines()[-1] == "Everything is there."
    assert "ok      the package ipykernel\n" in str(report)


def test_an_old_python_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """3.10 is too old."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    assert "MISSING Python 3.11 or newer: install it from python.org" in str(chatlib.doctor())


@pytest.mark.parametrize("step", ["create_server", "create_connection"])
def test_a_forbidden_network_is_noticed(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that lets no connection through is a line of the report, not a traceback."""

    def forbidden(*args: Any, **kwargs: Any) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr(socket, step, forbidden)
    assert str(chatlib.doctor()[-1].cure) in str(chatlib.doctor())


def test_a_report_shows_itself() -> None:
    """As a cell's last expression it reads as it prints."""
    report = Report([Finding("this", True, ""), Finding("that", False, "get it")])
    assert (
        repr(report) == str(report) == "ok      this\nMISSING that: get it\n" + str(report).splitlines()[-1]
    )
