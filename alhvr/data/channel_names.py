"""Channel names: which images of a folder are the channels of one scan, and what a file calls the channels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alhvr.core.errors import ChannelError, UserError

MODALITIES = ("CT", "MR", "other")
_NUMBERED = re.compile(r"(.+)_(\d{4})$")

Images = dict[int, Path]
"""The images of one scan by the number of the channel, from 0; complete or not."""


@dataclass(frozen=True)
class Channel:
    """One channel of a scan: what was measured."""

    name: str
    """As people call it, such as "FLAIR"."""
    modality: str = "other"
    """"CT", "MR" or "other"."""


def group_channels(found: Mapping[str, Path], labels: Set[str], channels: int | None) -> dict[str, Images]:
    """Scans by case name from images by name: one channel each, unless the names tell that NAME_0000, NAME_0001, ...
    are the channels of NAME.

    ``labels``: names of the label files; ``channels``: how many there must be, None where that is not known.
    """
    if tells_channels(found.keys(), labels, channels):
        return gather_numbered(found)
    return {name: {0: path} for name, path in found.items()}


def tells_channels(names: Set[str], labels: Set[str], channels: int | None) -> bool:
    """Whether the numbers at the end of the names are those of channels.

    They are where labels are named without them, or several scans, and most of them, have the same 0000, 0001, ...;
    not where labels are named with them. Where it is known that there are several channels, they are.
    """
    numbers: dict[str, set[int]] = {}
    for name in names:
        case, number = split_number(name)
        if number is not None:
            numbers.setdefault(case, set()).add(number)
    if labels & numbers.keys():
        return True
    if channels is not None:
        return channels > 1
    if not numbers or labels & names or any(split_number(name)[1] is None for name in names):
        return False
    common, times = Counter(map(frozenset, numbers.values())).most_common(1)[0]
    return len(common) > 1 and common == set(range(len(common))) and times > max(1, len(numbers) / 2)


def gather_numbered(found: Mapping[str, Path]) -> dict[str, Images]:
    """Scans by case name, where NAME_0000, NAME_0001, ... are channels; raises UserError for NAME beside NAME_0000."""
    scans: dict[str, Images] = {}
    for name, path in found.items():
        case, number = split_number(name)
        other = scans.setdefault(case, {}).setdefault(number or 0, path)
        if other is not path:
            message = f"{other.name} and {path.name} are both the first channel of {case}."
            raise UserError(message, "Rename or remove one of them.")
    return scans


def split_number(name: str) -> tuple[str, int | None]:
    """("patient 1", 2) from "patient 1_0002"; (name, None) where it ends in no channel number."""
    match = _NUMBERED.match(name)
    return (match[1], int(match[2])) if match else (name, None)


def channel_fault(case: str, images: Images, channels: Sequence[Channel] | int) -> str:
    """What is wrong with the channels of a case, as a sentence that names the file; empty where all are there."""
    count = channels if isinstance(channels, int) else len(channels)
    missing = [number for number in range(count) if number not in images]
    if missing:
        name = "" if isinstance(channels, int) else channels[missing[0]].name
        file = _missing_file(case, images, missing[0])
        what = f"{file} ({name})" if name and file else name or file or missing[0]
        return f'The case "{case}" lacks the channel {what}.'
    over = [number for number in images if number >= count]
    if over:
        return f'The case "{case}" has {images[over[0]].name} beyond {list_channels(channels)}.'
    return ""


def check_names(folder: str, seen: Sequence[Channel], wanted: Sequence[Channel] | int | None) -> tuple[str, ...]:
    """A warning where ``folder`` calls the channels otherwise than ``wanted``.

    Raises UserError where it has another number of them, or the same ones in another order.
    """
    count = wanted if wanted is None or isinstance(wanted, int) else max(1, len(wanted))
    if not seen or count is None:
        return ()
    if len(seen) != count:
        raise ChannelError(f"The scans in {folder} have {list_channels(seen)}; needed: {list_channels(wanted or 1)}.",
                        "Give scans with these channels in this order.")
    names = [channel.name.casefold() for channel in seen]
    needed = [] if isinstance(wanted, int) else [channel.name.casefold() for channel in wanted]
    if count == 1 or not needed or names == needed or needed == [c.name for c in name_channels(count)]:
        return ()
    if sorted(names) == sorted(needed):
        raise ChannelError(f"The scans in {folder} have {list_channels(seen)} in this order; needed: "
                        f"{list_channels(wanted)}.", "List the files in the order that is needed in cases.json.")
    return (f"The scans in {folder} have {list_channels(seen)}, and needed are {list_channels(wanted)}: the names "
            "differ, the channels are taken in their order.",)


def common_count(scans: Iterable[Images]) -> int:
    """The number of channels that most of the ``scans`` have; of several such numbers the largest."""
    counts = Counter(1 + max(images) for images in scans)
    return max(counts, key=lambda count: (counts[count], count))


def name_channels(count: int) -> tuple[Channel, ...]:
    """Channels that no file names: none for one, else "channel 0", "channel 1", ... after the numbers of the files."""
    return tuple(Channel(f"channel {number}") for number in range(count)) if count > 1 else ()


def list_channels(channels: Sequence[Channel] | int) -> str:
    """Channels as words: "2 channels (T1, FLAIR)"."""
    count = channels if isinstance(channels, int) else len(channels)
    words = f"{count} channel{'s' if count != 1 else ''}"
    return words if isinstance(channels, int) or not channels else f"{words} ({', '.join(c.name for c in channels)})"


def parse_channels(source: str, record: Any) -> tuple[Channel, ...]:
    """Channels from a list of names or of {"name", "modality"}, or from {"0": "T1", "1": "FLAIR"}.

    ``source``: the file, for messages. Raises UserError.
    """
    entries = _in_order(source, record) if isinstance(record, dict) else record
    if not isinstance(entries, list):
        raise UserError(f'The channels in {source} are {record!r}.', 'Write them as a list, such as ["T1", "FLAIR"].')
    channels = tuple(_parse_channel(source, entry) for entry in entries)
    twice = [name for name, n in Counter(channel.name.casefold() for channel in channels).items() if n > 1]
    if twice:
        raise UserError(f'Two channels in {source} are called "{twice[0]}".', "Give each a name of its own.")
    return channels


def modality_of(text: Any) -> str:
    """CT, MR or other, from the words people write."""
    word = str(text).strip().upper()
    if word.startswith("CT"):
        return "CT"
    return "MR" if word.startswith(("MR", "T1", "T2", "FLAIR", "LGE", "ADC", "DWI")) else "other"


def _missing_file(case: str, images: Images, number: int) -> str:
    """The name that the file of channel ``number`` would have, after those that are there; empty for other names."""
    for there, path in images.items():
        if path.name.startswith(f"{case}_{there:04d}"):
            return f"{case}_{number:04d}{path.name[len(case) + 5:]}"
    return "" if images else f"{case}_{number:04d}"


def _in_order(source: str, record: dict) -> list[Any]:
    """The values of {"0": ..., "1": ...} by rising number."""
    try:
        numbers = {int(key): value for key, value in record.items()}
    except ValueError as error:
        raise UserError(f"The channels in {source} are numbered {', '.join(map(str, record))}.",
                        "Number them 0, 1, 2, ...") from error
    if sorted(numbers) != list(range(len(record))):
        raise UserError(f"The channels in {source} are numbered {', '.join(map(str, record))}.",
                        "Number them 0, 1, 2, ...")
    return [numbers[number] for number in sorted(numbers)]


def _parse_channel(source: str, entry: Any) -> Channel:
    known = {"name": entry} if isinstance(entry, str) else entry
    good = isinstance(known, dict) and known.keys() <= {"name", "modality"} and isinstance(known.get("name"), str)
    if not good or not known["name"].strip():
        raise UserError(f"A channel in {source} is {entry!r}.",
                        'Write its name, or {"name": "FLAIR", "modality": "MR"}.')
    modality = known.get("modality", modality_of(known["name"]))
    if modality not in MODALITIES:
        raise UserError(f'The modality of the channel "{known["name"]}" in {source} is {modality!r}.',
                        f"Accepted: {', '.join(MODALITIES)}.")
    return Channel(known["name"].strip(), modality)
