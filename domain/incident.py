"""An emergency being handled and the orders to rescue teams, with the moves that are legal."""

from __future__ import annotations

from enum import StrEnum


class IllegalMove(Exception):
    """A state cannot follow the present one."""


class DispatchState(StrEnum):
    """How far a team's order has come."""

    PROPOSED = "proposed"
    ORDERED = "ordered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EN_ROUTE = "en_route"
    ON_SCENE = "on_scene"
    DONE = "done"
    CANCELLED = "cancelled"


_S = DispatchState

#: state -> states that may follow; a phone that was offline may skip the ones between
MOVES: dict[DispatchState, frozenset[DispatchState]] = {
    _S.PROPOSED: frozenset({_S.ORDERED, _S.CANCELLED}),
    _S.ORDERED: frozenset({_S.ACCEPTED, _S.DECLINED, _S.EN_ROUTE, _S.ON_SCENE, _S.DONE, _S.CANCELLED}),
    _S.ACCEPTED: frozenset({_S.DECLINED, _S.EN_ROUTE, _S.ON_SCENE, _S.DONE, _S.CANCELLED}),
    _S.EN_ROUTE: frozenset({_S.ON_SCENE, _S.DONE, _S.CANCELLED}),
    _S.ON_SCENE: frozenset({_S.DONE, _S.CANCELLED}),
    _S.DECLINED: frozenset(),
    _S.DONE: frozenset(),
    _S.CANCELLED: frozenset(),
}

#: states that a team's phone may report
ANSWERS = frozenset({_S.ACCEPTED, _S.DECLINED, _S.EN_ROUTE, _S.ON_SCENE, _S.DONE})


def check_move(present: DispatchState, wanted: DispatchState) -> None:
    """Raise IllegalMove unless `wanted` may follow `present`."""
    if wanted not in MOVES[present]:
        legal = ", ".join(sorted(MOVES[present])) or "nothing: it is closed"
        raise IllegalMove(f"a dispatch that is {present} cannot become {wanted}; possible: {legal}")
