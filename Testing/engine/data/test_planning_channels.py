"""Planning the channels: each one by its own name, headers and intensities; one channel as ever."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from grids import plan_of

from alhvr.config import PlanConfig
from alhvr.core.errors import UserError
from alhvr.data.channel_names import Channel
from alhvr.data.fingerprint import Fingerprint, join_channels
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Normalization, Statistics
from alhvr.data.plan import ChannelPlan, Plan, make_plan

GRID = Geometry((64, 64, 64), (1.0, 1.0, 1.5), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
HU, SIGNAL = Statistics(-1000, 0, 900, -200, 400), Statistics(0, 50, 900, 80, 90)


def _scan(*modalities: str, air: str = "CT") -> Fingerprint:
    return join_channels([Fingerprint(GRID, m, HU if m == air else SIGNAL) for m in modalities])


def _plan(scan: Fingerprint, *names: str | Channel, **settings: object) -> Plan:
    channels = [Channel(name) if isinstance(name, str) else name for name in names]
    return make_plan([scan] * 2, [scan], PlanConfig(**settings), memory_gb=8.0, channels=channels)


def test_each_channel_follows_its_own_header() -> None:
    plan = _plan(_scan("MR", "CT"), "T1", "planning CT")
    assert [(c.name, c.modality, c.normalization.kind) for c in plan.channels] == [
        ("T1", "MR", "zscore"), ("planning CT", "CT", "ct")]
    assert (plan.modality, plan.normalization) == ("MR", plan.channels[0].normalization)
    assert (plan.n_channels, plan.normalizations) == (2, tuple(c.normalization for c in plan.channels))


def test_what_files_say_of_a_channel_comes_before_its_header() -> None:
    plan = _plan(_scan("other", "other"), Channel("A", "MR"), Channel("B", "CT"))
    assert [c.modality for c in plan.channels] == ["MR", "CT"]


def test_a_channel_of_unknown_kind_with_air_in_hu_is_ct() -> None:
    plan = _plan(_scan("MR", "other", air="other"), "T1", "what")
    assert [c.normalization.kind for c in plan.channels] == ["zscore", "ct"]


def test_channels_that_nobody_named_are_called_by_their_number() -> None:
    assert [c.name for c in _plan(_scan("MR", "MR", "MR")).channels] == ["channel 0", "channel 1", "channel 2"]


def test_a_chosen_normalization_holds_for_all_channels() -> None:
    plan = _plan(_scan("MR", "CT"), "T1", "CT", normalization="percentile")
    assert {rule.kind for rule in plan.normalizations} == {"percentile"}


def test_one_channel_is_planned_as_ever_and_keeps_its_name() -> None:
    named, plain = _plan(_scan("MR"), "FLAIR"), _plan(_scan("MR"))
    assert plain.channels == () and plain.named_channels == () and plain.n_channels == 1
    assert replace(named, channels=()) == plain and named.named_channels == (Channel("FLAIR", "MR"),)


def test_scans_with_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(UserError, match=r"scans have 1 or 2 channels; needed: 2 channels \(T1, FLAIR\)"):
        make_plan([_scan("MR", "MR")], [_scan("MR")], PlanConfig(), memory_gb=8.0,
                  channels=[Channel("T1"), Channel("FLAIR")])
    with pytest.raises(UserError, match="scans have 2 channels; needed: 1 channel"):
        _plan(_scan("MR", "MR"), "T1")


def test_a_plan_of_several_channels_is_read_back_and_an_older_one_too() -> None:
    plan = _plan(_scan("MR", "CT"), "T1", "CT")
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    older = plan_of().to_dict()
    del older["channels"]
    assert Plan.from_dict(older) == plan_of()


def test_channels_that_contradict_the_plan_are_refused() -> None:
    with pytest.raises(UserError, match="channels is"):
        plan_of(channels=(ChannelPlan("T1", "MR", Normalization("zscore")),))


def test_the_plan_tells_its_channels_in_words() -> None:
    told = _plan(_scan("MR", "CT"), "T1", "low dose").describe()[-1]
    assert told.startswith("Each scan has 2 channels (T1, low dose). T1: Intensities are brought to mean 0")
    assert "; low dose: Intensities are clipped to -1000 to 900 HU" in told
