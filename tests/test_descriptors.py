"""How many connections a process may have."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from chatlib.descriptors import descriptors, make_room

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
DEADLINE = 20.0


def after(code: str) -> list[str]:
    """Runs some lines in a process of its own that may have 300 descriptors, and more if it asks."""
    start = "import resource; LIMIT = resource.RLIMIT_NOFILE; hard = resource.getrlimit(LIMIT)[1]\n"
    lower = "resource.setrlimit(LIMIT, (300, hard))\nfrom chatlib.descriptors import make_room\n"
    command = [sys.executable, "-c", start + lower + code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE, check=True
    ).stdout.split()


@POSIX
def test_room_is_made_for_so_many_clients() -> None:
    """The limit is raised, and stays so."""
    assert after("make_room(500); print(resource.getrlimit(LIMIT)[0])") == ["564"]


@POSIX
def test_as_much_room_is_made_as_the_system_allows() -> None:
    """If that is less than is asked for, nothing fails."""
    allow = "resource.setrlimit(LIMIT, (300, 400)); "
    assert after(allow + "make_room(500); print(resource.getrlimit(LIMIT)[0])") == ["400"]


@POSIX
def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    """A process that may have more already does not have less afterwards."""
    assert after("make_room(100); print(resource.getrlimit(LIMIT)[0])") == ["300"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how large the table is")
def test_the_table_of_descriptors_has_its_full_size_at_once() -> None:
    """Later, when there are threads, each growth would stop the process for 20 ms."""
    told = after("make_room(500); print(open('/proc/self/status').read())")
    assert int(told[told.index("FDSize:") + 1]) >= 564


def test_where_there_is_no_limit_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no module `resource`: to ask for it would raise ImportError."""
    monkeypatch.setattr("chatlib.descriptors.os", SimpleNamespace(name="nt"))
    monkeypatch.setitem(sys.modules, "resource", None)
    make_room(10**9)
    with descriptors(10**9) as nothing:
        assert nothing is None


@POSIX
def test_too_few_descriptors_are_a_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how many clients are possible, and how to have more."""
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, 200))
    sentence = "1000 clients need 1064 descriptors, and this system allows 200: ask for at most 136 clients"
    with pytest.raises(ValueError, match=sentence), descriptors(1000):
        pass


@POSIX
def test_the_limit_of_descriptors_is_raised_for_a_while() -> None:
    """As far as needed, and it is what it was before in the end."""
    import resource

    limit = resource.RLIMIT_NOFILE
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (300, before[1]))
    try:
        with descriptors(400):
            assert resource.getrlimit(limit)[0] == 464
        assert resource.getrlimit(limit)[0] == 300
    finally:
        resource.setrlimit(limit, before)


@POSIX
def test_fewer_will_do_for_a_check() -> None:
    """Then the limit is raised as far as it goes, for as long as the block runs."""
    code = "from chatlib.descriptors import descriptors; now = lambda: resource.getrlimit(LIMIT)[0]\n"
    code += "resource.setrlimit(LIMIT, (300, 400))\n"
    code += "with descriptors(500, or_fewer=True): inside = now()\nprint(inside, now())"
    assert after(code) == ["400", "300"]
