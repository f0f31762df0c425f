"""Outlines of a mask along the edges of its pixels, holes joined to them by keyholes: polygons that give it back.

Every centre of a pixel is half a pixel away from every line of a polygon, so that whatever fills the polygons, by the
rule of even and odd or by that of winding, marks the same pixels again, also after coordinates were rounded.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Point = tuple[int, int]
"""A corner of pixels as (row, column): corner (0, 0) is the outer corner of the first pixel."""


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Polygons of ``mask`` (bool [J, I]): integer corners [N, 2] as (row, column), the last not repeating the first.

    One for each piece of pixels that share edges; a hole in it is reached and left by one keyhole along pixel edges.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    inside = np.pad(mask[top:rows[-1] + 1, left:columns[-1] + 1], 1)
    rings = _rings(inside)
    polygons = _with_keyholes(inside, rings)
    return [np.array(polygon, dtype=np.int64) + (top - 1, left - 1) for polygon in polygons]


def _rings(inside: np.ndarray) -> list[list[Point]]:
    """The closed lines between inside and outside of a padded mask, as their corners in order.

    Along each row of pixel edges the corners are the ends of straight lines, two by two, and so along each column.
    """
    corners, row_tie, column_tie = _corners(inside)
    across = _partners(np.lexsort((row_tie, corners[:, 1], corners[:, 0])))
    down = _partners(np.lexsort((column_tie, corners[:, 0], corners[:, 1])))
    points = [(int(row), int(column)) for row, column in corners]
    seen = np.zeros(len(points), dtype=bool)
    rings = []
    for start in range(len(points)):
        if seen[start]:
            continue
        ring, at = [], start
        while not seen[at]:
            other = across[at]
            seen[at] = seen[other] = True
            ring += [points[at], points[other]]
            at = down[other]
        rings.append(ring)
    return rings


def _corners(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where outlines turn, [N, 2]; and which of two corners at one place comes first in its row, in its column.

    Where two pixels touch at a corner alone, it is a corner of each: pieces are pixels that share edges.
    """
    a, b, c, d = inside[:-1, :-1], inside[:-1, 1:], inside[1:, :-1], inside[1:, 1:]
    count = a.astype(np.int8) + b + c + d
    falling, rising = a & d & ~b & ~c, b & c & ~a & ~d
    single = np.argwhere((count == 1) | (count == 3))
    fall, rise = np.argwhere(falling), np.argwhere(rising)
    corners = np.concatenate([single, fall, fall, rise, rise]) + 1
    zeros, ones = np.zeros, np.ones
    # falling: the upper left pixel's corner is first both ways; rising: the lower left's in its row, not in its column
    row_tie = np.concatenate([zeros(len(single)), zeros(len(fall)), ones(len(fall)), zeros(len(rise)),
                              ones(len(rise))])
    column_tie = np.concatenate([zeros(len(single)), zeros(len(fall)), ones(len(fall)), ones(len(rise)),
                                 zeros(len(rise))])
    return corners, row_tie, column_tie


def _partners(order: np.ndarray) -> list[int]:
    """The other end of the line that each corner is an end of, from their order along the lines."""
    partners = np.empty(len(order), dtype=np.int64)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    return partners.tolist()


def _with_keyholes(inside: np.ndarray, rings: list[list[Point]]) -> list[list[Point]]:
    """The outer rings, each with its holes joined to it."""
    firsts = [min(ring, key=lambda point: (point[1], point[0])) for ring in rings]
    holes = [number for number, (row, column) in enumerate(firsts) if not inside[row, column]]
    is_hole = set(holes)
    rings = [_turned(ring, first, clockwise=number not in is_hole)
             for number, (ring, first) in enumerate(zip(rings, firsts, strict=True))]
    owner, edges = _upright_edges(inside.shape, rings)
    joined: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number in holes:
        row, column = firsts[number]
        while inside[row, column - 1] and inside[row - 1, column - 1]:
            column -= 1
        above = owner[row - 1, column]
        edge = above if above >= 0 and edges[above][0] != number else owner[row, column]
        joined.setdefault(edges[edge], []).append((row, number))
    return [_walk(number, rings, joined) for number in range(len(rings)) if number not in is_hole]


def _upright_edges(shape: tuple[int, ...], rings: list[list[Point]]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Which line each upright pixel edge [row of pixels, column of corners] is part of, -1 for none; and the lines, by
    their ring and the number of the corner that they begin at."""
    owner, edges = np.full((shape[0], shape[1] + 1), -1, dtype=np.int64), []
    for number, ring in enumerate(rings):
        for at, ((row, column), (next_row, next_column)) in enumerate(zip(ring, ring[1:] + ring[:1], strict=True)):
            if column == next_column:
                owner[min(row, next_row):max(row, next_row), column] = len(edges)
                edges.append((number, at))
    return owner, edges


def _turned(ring: list[Point], first: Point, *, clockwise: bool) -> list[Point]:
    """The ring from ``first`` on, in this sense as seen on a screen, rows downwards."""
    twice_area = sum(a[1] * b[0] - b[1] * a[0] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
    ring = ring if (twice_area > 0) == clockwise else ring[::-1]
    at = ring.index(first)
    return ring[at:] + ring[:at]


def _walk(outer: int, rings: list[list[Point]], joined: dict[tuple[int, int], list[tuple[int, int]]]) -> list[Point]:
    """Around an outer ring; from each line that holes are joined to, to the hole, around it likewise, and back."""
    walked: list[Point] = []
    todo: list[tuple[bool, Any]] = []

    def plan(number: int) -> None:
        """Puts the corners of a ring and what hangs on its lines on the pile, the first on top."""
        ring, steps = rings[number], []
        for at, point in enumerate(ring):
            steps.append((True, point))
            column, down = point[1], ring[(at + 1) % len(ring)][0] > point[0]
            for row, hole in sorted(joined.get((number, at), ()), reverse=not down):
                steps += [(True, (row, column)), (False, hole), (True, rings[hole][0]), (True, (row, column))]
        todo.extend(reversed(steps))

    plan(outer)
    while todo:
        is_point, what = todo.pop()
        if not is_point:
            plan(what)
        elif not walked or walked[-1] != what:
            walked.append(what)
    return walked
