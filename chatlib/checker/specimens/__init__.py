"""Faulty servers, each with one known defect, as a student might write it: they check the checker.

`threads` and `loop` are sound. Each other file is one of these but for the method that has the defect. To run
one: `python -m chatlib.checker.specimens NAME PORT`.
"""

from importlib import import_module
from typing import Any, NamedTuple


class Specimen(NamedTuple):
    """One server, and what the checker must say of it."""

    name: str
    """Of its file."""
    fails: frozenset[str]
    """The cases that it fails: these, and no others."""
    dialect: str = "lines"
    model: str = ""
    """The name of its class, if that is not made of the file's."""
    as_program: bool = False
    """True if it is tried in a program of its own: its defect is only seen there, or slows the checker."""
    may: frozenset[str] = frozenset()
    """What it may fail as well: how fast the machine is decides that."""

    @property
    def sentence(self) -> str:
        """What is wrong with it: the first line of its file."""
        return (self._module().__doc__ or "").partition("\n")[0]

    def load(self) -> Any:
        """Returns its class: called with an address, it makes a server."""
        return getattr(self._module(), self.model or self.name.title().replace("_", ""))

    def _module(self) -> Any:
        return import_module(f"{__name__}.{self.name}")


def _faulty(
    name: str, fails: str, dialect: str = "lines", as_program: bool = False, may: str = ""
) -> Specimen:
    sets = frozenset(fails.split()), frozenset(may.split())
    return Specimen(name, sets[0], dialect, as_program=as_program, may=sets[1])


SOUND = (
    Specimen("threads", frozenset(), "lines", "Threads"),
    Specimen("threads", frozenset(), "shout", "Shout"),
    Specimen("threads", frozenset(), "budget-chat", "BudgetChat"),
    Specimen("loop", frozenset(), "lines", "Loop"),
)
"""Servers that fail nothing, in each dialect."""

SPECIMENS = (
    _faulty(
        "spins_on_goodbye",
        "departures.fin departures.idle departures.closed departures.many",
        as_program=True,
        may="lifecycle.descriptors",  # a hundred threads spin then, and a newcomer has to wait for all
    ),
    _faulty(
        "forgets_to_remove",
        "departures.others departures.reset departures.broadcast "
        "departures.many isolation.unread slow.others framing.endless",
    ),
    _faulty(
        "walks_a_changing_list", "departures.others departures.reset departures.broadcast", may="slow.others"
    ),
    _faulty("misses_what_is_said_meanwhile", "departures.meanwhile"),
    _faulty("one_slow_reader_mutes_all", "isolation.unread slow.others"),
    _faulty("reset_ends_the_server", "departures.reset departures.broadcast"),
    _faulty("believes_in_one_recv", "framing.split framing.joined framing.letter framing.long"),
    _faulty("hands_on_halves", "framing.split framing.joined framing.letter"),
    _faulty("decodes_half_a_letter", "framing.letter"),
    _faulty("grows_without_end", "framing.endless"),
    _faulty("dies_of_bad_bytes", "input.utf8 input.random"),
    _faulty("two_alices", "names.race", "budget-chat"),
    _faulty("cannot_stop", "lifecycle.stop"),
    _faulty("keeps_the_port", "lifecycle.again"),
    _faulty("echoes_to_sender", "delivery.sender"),
    _faulty("one_at_a_time", "isolation.silent", "shout"),
    _faulty("drops_when_busy", "isolation.crowd"),
    _faulty("tells_nobody", "delivery.reach"),
    _faulty("answers_in_lower_case", "delivery.answer", "shout"),
    _faulty("answers_everybody", "delivery.private", "shout"),
    _faulty("joins_twice", "delivery.order delivery.talkers framing.crlf"),
    _faulty("sends_names_apart", "delivery.talkers"),
    _faulty("speaks_in_anothers_name", "delivery.talkers", "budget-chat"),
    _faulty("closes_the_doors", "delivery.late isolation.crowd"),
    _faulty("waits_for_the_end_of_a_line", "isolation.trickle framing.split framing.joined framing.letter"),
    _faulty("splits_at_returns", "framing.crlf"),
    _faulty("leaves_at_an_empty_line", "framing.empty"),
    _faulty("swallows_long_lines", "framing.long"),
    _faulty("chokes_on_a_long_line", "framing.long framing.endless"),
    _faulty("opens_what_is_said", "input.control"),
    _faulty("never_closes", "departures.fin departures.many"),
    _faulty("forgets_a_last_line", "departures.half"),
    _faulty("keeps_all_for_a_sleeper", "slow.memory"),
    _faulty("skips_the_next", "slow.others", may="departures.broadcast"),
    _faulty("believes_in_one_send", "slow.lines"),
    _faulty("shares_the_port", "lifecycle.busy"),
    _faulty("accepts_in_a_fury", "lifecycle.descriptors", as_program=True),
    _faulty("asks_without_a_newline", "names.greeting", "budget-chat"),
    _faulty("counts_the_room", "names.list", "budget-chat"),
    _faulty("leaves_in_silence", "names.presence", "budget-chat"),
    _faulty("leaves_in_anothers_name", "names.presence", "budget-chat"),
    _faulty("allows_any_name", "names.illegal", "budget-chat"),
    _faulty("allows_no_name", "names.empty", "budget-chat"),
    _faulty("allows_the_same_name", "names.taken", "budget-chat"),
    _faulty("lets_the_nameless_listen", "names.unnamed", "budget-chat"),
)
"""Servers that fail what is said here, and nothing else."""
