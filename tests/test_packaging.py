"""pyproject.toml is the source of truth; the lock, the conda environment and the CI files follow it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chatlib.bench.contenders import RIVALS

ROOT = Path(__file__).resolve().parent.parent
# What a package's marker is asked on each system: what it says, and the packages that only this one needs.
SYSTEMS = {
    "win32": ({"os_name": "nt", "platform_system": "Windows"}, {"pywinpty", "colorama"}),
    "darwin": ({"os_name": "posix", "platform_system": "Darwin"}, {"appnope", "pexpect", "ptyprocess"}),
    "linux": ({"os_name": "posix", "platform_system": "Linux"}, {"pexpect", "ptyprocess"}),
}


def text_of(name: str) -> str:
    """Read a file of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads(text_of("pyproject.toml"))


def extras() -> list[Requirement]:
    """Give every requirement of the extras."""
    tables = pyproject()["project"]["optional-dependencies"].values()
    return [Requirement(line) for table in tables for line in table]


def build_backend() -> list[Requirement]:
    """Give what building the project requires."""
    return [Requirement(line) for line in pyproject()["build-system"]["requires"]]


def lock() -> list[Requirement]:
    """Give every pin of the lock."""
    lines = text_of("requirements.lock").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def conda_packages() -> list[str]:
    """Give the list `dependencies` of environment.yml, which is plain enough to need no YAML parser."""
    [listed] = re.findall(r"^dependencies:\n((?:  .*\n)+)", text_of("environment.yml"), re.MULTILINE)
    return [line.split("#")[0].strip().removeprefix("- ") for line in listed.splitlines()]


def name_of(requirement: Requirement) -> str:
    """Give a requirement's name in the one spelling that can be compared."""
    return canonicalize_name(requirement.name)


def bounds(requirements: list[Requirement]) -> dict[str, str]:
    """Give each requirement's versions by its name."""
    return {name_of(requirement): str(requirement.specifier) for requirement in requirements}


def test_the_package_itself_needs_nothing() -> None:
    """chatlib has no dependencies, and extras called lab, relay, class and test."""
    project = pyproject()["project"]
    assert project["dependencies"] == []
    assert set(project["optional-dependencies"]) == {"lab", "relay", "class", "test"}


def test_conda_environment_agrees_with_the_extras() -> None:
    """environment.yml asks for the packages of the extras with the same bounds, then for chatlib itself."""
    python, *packages = conda_packages()
    assert re.fullmatch(r"python=3\.1[1-4]", python)
    pip = packages.index("pip:")
    assert (packages[pip - 1], packages[-1]) == ("pip", "-e .")
    named = packages[: pip - 1] + packages[pip + 1 : -1]
    assert bounds([Requirement(package) for package in named]) == bounds(extras())


def test_lock_pins_every_package_exactly() -> None:
    """Each line of the lock is name==version, perhaps for some systems only, and no address or option."""
    for requirement in lock():
        assert re.fullmatch(r"==[\w.+!]+", str(requirement.specifier)), requirement
        assert requirement.url is None
    assert "://" not in text_of("requirements.lock")
    assert not re.search(r"^\s*-", text_of("requirements.lock"), re.MULTILINE)


def test_lock_satisfies_the_extras_and_the_build() -> None:
    """Every requirement of pyproject.toml has a pin, and each of its pins is within the bounds."""
    for requirement in extras() + build_backend():
        pins = [pin for pin in lock() if name_of(pin) == name_of(requirement)]
        assert pins, f"{requirement} is not in the lock"
        for pin in pins:
            [exact] = pin.specifier
            assert requirement.specifier.contains(exact.version), f"{pin} does not satisfy {requirement}"


def test_build_group_repeats_the_build_backend() -> None:
    """The group that brings the build backend into the lock asks for the same as the build itself."""
    group = pyproject()["dependency-groups"]["build"]
    assert [Requirement(line) for line in group] == build_backend()


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_lock_gives_each_system_its_own_packages_once(system: str, python: str) -> None:
    """On each system the markers select one pin a package, and those that only this system needs."""
    variables, needed = SYSTEMS[system]
    change = {"python_version": python, "python_full_version": python + ".9", "sys_platform": system}
    asked: dict[str, str] = {**{k: str(v) for k, v in default_environment().items()}, **variables, **change}
    selected = [name_of(pin) for pin in lock() if pin.marker is None or pin.marker.evaluate(asked)]
    special = set().union(*(names for _, names in SYSTEMS.values()))
    assert len(selected) == len(set(selected))
    assert special & set(selected) == needed


def test_ci_runs_what_the_readme_says() -> None:
    """The CI files call the two commands of run.py and no other way to install or test."""
    script, workflow = text_of(".ci/run"), text_of(".github/workflows/ci.yml")
    call = r"(\S+) \S*run\.py\"? (\w+)(.*)"
    assert re.findall(call, script) == [
        ("python3", "test", ""),
        ('"$other"', "test", " $but $measure"),
        ("python3", "test", " --exhaustive --within=$((990 - SECONDS))"),
    ]
    *tests, (python, command, _) = re.findall(call, workflow)
    assert tests == [("python", "test", option) for option in ("", " --cov=chatlib", " --exhaustive")]
    assert (python, command) == ("python", "lab")
    assert "pip install" not in script + workflow
    assert not re.search(r"^\s*export", script, re.MULTILINE)


def test_ci_brings_the_programs_that_its_tests_would_miss() -> None:
    """Without them, some tests are skipped: so CI looks for each, installs it, and fails if it cannot."""
    script = text_of(".ci/run")
    assert "set -e" in script.splitlines()
    programs = {"chromium", *(rival.command[0] for rival in RIVALS.values())}
    assert set(re.findall(r"command -v (\S+?);? ", script)) == programs
    [installed] = re.findall(r"apt-get install --quiet --yes (.*)", script)
    assert set(installed.split()) == programs


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no executable bit")
def test_ci_script_is_an_executable_bash_script() -> None:
    """.ci/run can be started by its name, and bash accepts it."""
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def test_no_line_ends_change_the_lock() -> None:
    """A checkout on Windows keeps LF in the files whose bytes are compared."""
    attributes = text_of(".gitattributes")
    for kind in ("*.py", "*.ipynb", "*.md", "*.lock"):
        assert f"{kind} text eol=lf" in attributes
    assert b"\r" not in (ROOT / "requirements.lock").read_bytes()
