"""Exercise 05: a group chat with a thread for each client, written by hand."""

from chatlib.teach.exercises.exercise import Exercise, is_subclass_of
from chatlib.teach.exercises.servers import Server, as_it_is, chosen

EXERCISE = Exercise(
    title="a group chat",
    name="GroupChat",
    takes="the server class itself, without brackets",
    fits=is_subclass_of(Server),
    cases=chosen(
        "delivery.reach",
        "delivery.sender",
        "departures.fin",
        "departures.idle",
        "departures.others",
        "departures.reset",
        "departures.broadcast",
    ),
    lesson="05 Group chat by hand",
    serves=as_it_is,
    dialect="lines",
)
