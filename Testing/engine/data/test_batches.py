"""Batches of two streams: labelled first, the same at any time and with any cache, and robust to damaged archives."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from tiny_cases import LABELS, Listener, damage, tiny_plan, with_channels, write_case

from alhvr.config import AugmentConfig
from alhvr.core.errors import UserError
from alhvr.data import store as store_module
from alhvr.data.augment import Augmenter
from alhvr.data.batches import Batch, TwoStreamBatches
from alhvr.data.case_io import LabelDecoder
from alhvr.data.cases import Case
from alhvr.data.plan import Plan
from alhvr.data.store import ScanStore
from alhvr.formats.labels import NOT_ANNOTATED

SHAPE = (6, 20, 24)
SCAN_BYTES = 4 * 6 * 20 * 24
NOTHING = AugmentConfig(mirror=False, rotate_degrees=0, scale=0, intensity=False)
PLANS = [tiny_plan(2, (16, 32)), tiny_plan(3, (16, 16, 16))]


class World:
    """A folder of labelled and unlabelled cases, and batches of them."""

    def __init__(self, folder: Path, *, labeled: int = 2, unlabeled: int = 5) -> None:
        self.labeled = [write_case(folder, f"labeled{n}", SHAPE, label=True, seed=n) for n in range(labeled)]
        self.unlabeled = [write_case(folder, f"scan{n}", SHAPE, seed=50 + n) for n in range(unlabeled)]
        self.listener = Listener()

    def store(self, cases: list[Case], plan: Plan, *, budget: int = 10**9) -> ScanStore:
        label_set = LabelDecoder(LABELS) if cases is self.labeled else None
        return ScanStore(cases, plan, label_set, budget_bytes=budget, reporter=self.listener)

    def batches(self, plan: Plan, *, seed: int = 0, budget: int = 10**9, config: AugmentConfig | None = None,
                balanced: bool = True) -> TwoStreamBatches:
        augmenter = Augmenter(config or AugmentConfig(), plan.dimensions, plan.patch_size)
        unlabeled = self.store(self.unlabeled, plan, budget=budget)
        return TwoStreamBatches(self.store(self.labeled, plan), unlabeled, plan, augmenter, seed, balanced=balanced)


def same(first: Batch, second: Batch) -> bool:
    insides = [torch.ones(1) if b.inside is None else b.inside for b in (first, second)]
    return (torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)
            and torch.equal(*insides))


@pytest.mark.parametrize("plan", PLANS, ids=["2-D", "3-D"])
def test_a_batch_holds_labelled_patches_first(tmp_path: Path, plan: Plan) -> None:
    batch = World(tmp_path).batches(plan).batch(0)
    assert batch.images.shape == (4, 1, *plan.patch_size) and batch.images.dtype == torch.float32
    assert batch.labels.shape == (2, *plan.patch_size) and batch.labels.dtype == torch.int64
    annotated = batch.labels[batch.labels != NOT_ANNOTATED]
    assert batch.n_labeled == 2 and batch.n_clean == 2 and annotated.min() >= 0 and annotated.max() <= 2


@pytest.mark.parametrize("plan", PLANS, ids=["2-D", "3-D"])
def test_a_run_that_resumes_anywhere_sees_the_same_batches(tmp_path: Path, plan: Plan) -> None:
    world = World(tmp_path)
    with closing(world.batches(plan).iterate(0)) as stream:
        walked = dict(next(stream) for _ in range(14))
    asked = world.batches(plan)
    assert all(same(asked.batch(n), walked[n]) for n in (13, 0, 7, 7, 12))
    with closing(world.batches(plan).iterate(9)) as stream:
        assert all(n in walked and same(batch, walked[n]) for n, batch in (next(stream) for _ in range(5)))


def test_batches_differ_between_iterations_and_seeds(tmp_path: Path) -> None:
    world = World(tmp_path)
    batches, other = world.batches(PLANS[0]), world.batches(PLANS[0], seed=1)
    assert len({b.images.numpy().tobytes() for b in (batches.batch(0), batches.batch(1), other.batch(0))}) == 3


def test_content_does_not_depend_on_what_the_store_keeps(tmp_path: Path) -> None:
    """The same budget, once with a warm cache and reading ahead, once with a store that forgets everything."""
    world = World(tmp_path)
    warm, cold = world.batches(PLANS[0], budget=2 * SCAN_BYTES), world.batches(PLANS[0], budget=2 * SCAN_BYTES)
    with closing(warm.iterate(0)) as stream:
        for iteration, batch in (next(stream) for _ in range(20)):
            cold._streams[1].store._held.clear()
            assert same(batch, cold.batch(iteration))


def test_every_slice_is_shown_once_an_epoch_with_its_own_label(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan = tiny_plan(2, (32, 32))
    batches = world.batches(plan, config=NOTHING)
    expected = {}
    for index in range(2):
        case = world.store(world.labeled, plan).get(index)
        expected |= {image.tobytes(): label for image, label in zip(case.image[0], case.label, strict=True)}
    assert batches.iterations_per_epoch == 6
    for iteration in range(6):
        batch = batches.batch(iteration)
        for image, label in zip(batch.images[:2, 0, 6:26, 4:28].numpy(), batch.labels.numpy(), strict=True):
            assert np.array_equal(label[6:26, 4:28], expected.pop(image.tobytes()))
    assert not expected


def test_what_lies_beyond_a_scan_is_its_darkest_value_and_marked_as_padding(tmp_path: Path) -> None:
    batch = World(tmp_path).batches(tiny_plan(3, (16, 32, 32)), config=NOTHING).batch(0)
    inside = np.zeros((16, 32, 32), dtype=bool)
    inside[5:11, 6:26, 4:28] = True
    for image in batch.images[:, 0].numpy():
        assert np.all(image[~inside] == image[inside].min())
    assert np.all(batch.labels.numpy()[:, ~inside] == NOT_ANNOTATED) and batch.labels.numpy()[:, inside].max() == 2
    assert batch.n_clean == 2
    assert all(np.array_equal(image, inside) for image in batch.inside.numpy())


def test_a_patch_within_its_scan_has_no_padding(tmp_path: Path) -> None:
    batch = World(tmp_path).batches(tiny_plan(3, (16, 16, 16)), config=NOTHING).batch(0)
    assert batch.inside is not None  # six slices in a patch of sixteen
    batch = World(tmp_path).batches(tiny_plan(2, (16, 16)), config=NOTHING).batch(0)
    assert batch.inside is None


def test_padding_turns_with_the_patch(tmp_path: Path) -> None:
    turned = AugmentConfig(mirror=False, rotate_degrees=45, scale=0, intensity=False)
    batches = World(tmp_path).batches(tiny_plan(2, (32, 32)), config=turned)
    seen = [batches.batch(n) for n in range(4)]
    for batch in seen:
        for image, inside in zip(batch.images[:, 0], batch.inside, strict=True):
            # linear interpolation of the image reaches one pixel further than the nearest of the mask
            rim = torch.nn.functional.max_pool2d(inside[None, None].float(), 3, 1, 1)[0, 0] > 0
            assert torch.all(image[~rim] == image[~rim].min()) if (~rim).any() else True
    assert any(len(set(batch.inside.sum(dim=(1, 2)).tolist())) > 1 for batch in seen)


def test_an_unlabelled_patch_has_padding_too(tmp_path: Path) -> None:
    batch = World(tmp_path).batches(tiny_plan(2, (32, 32)), config=NOTHING).batch(0)
    assert (~batch.inside[batch.n_labeled:]).any() and batch.labels.shape[0] == batch.n_labeled


def test_the_archive_is_seen_whole_before_any_of_it_is_seen_again(tmp_path: Path) -> None:
    world = World(tmp_path, unlabeled=6)
    plan = tiny_plan(3, (16, 32, 32))
    batches = world.batches(plan, config=NOTHING)
    for epoch in range(2):
        images = [image.tobytes() for t in range(3) for image in batches.batch(3 * epoch + t).images[2:].numpy()]
        assert len(set(images)) == 6


@pytest.mark.parametrize("plan", PLANS, ids=["2-D", "3-D"])
def test_an_archive_of_ten_times_the_budget_is_read_once_an_epoch_and_stays_within_it(tmp_path: Path, plan: Plan,
                                                                                   monkeypatch) -> None:
    world = World(tmp_path, unlabeled=20)
    batches = world.batches(plan, budget=2 * SCAN_BYTES)
    stream = batches._streams[1]
    reads = _count_reads(monkeypatch, world.unlabeled)
    with closing(batches.iterate(0)) as running:
        for _ in range(stream.order.iterations_per_epoch):
            next(running)
            assert stream.store.held_bytes <= 2 * SCAN_BYTES
    assert set(reads) == {case.image for case in world.unlabeled}
    assert len(reads) <= 20 + 5


def _count_reads(monkeypatch, cases: list[Case]) -> list[Path]:
    reads, real, wanted = [], store_module.read_case, {case.image for case in cases}

    def counting(case: Case, **how):
        if case.image in wanted:
            reads.append(case.image)
        return real(case, **how)

    monkeypatch.setattr(store_module, "read_case", counting)
    return reads


@pytest.mark.parametrize("plan", [tiny_plan(2, (32, 32)), tiny_plan(3, (16, 16, 32))], ids=["2-D", "3-D"])
def test_channels_are_cut_at_one_place_and_filled_with_their_own_background(tmp_path: Path, plan: Plan) -> None:
    world = World(tmp_path)
    for cases in (world.labeled, world.unlabeled):
        for index, case in enumerate(cases):
            inverted = 300 - SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(case.image)))
            other = case.image.with_name(f"{case.name} inverted.nrrd")
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(inverted), str(other))
            cases[index] = replace(case, more_images=(other,))
    images = world.batches(with_channels(plan, "plain", "inverted"), config=NOTHING).batch(0).images.numpy()
    assert images.shape[1] == 2
    inside = images[:, 0] + images[:, 1] > 0.5
    np.testing.assert_allclose((images[:, 0] + images[:, 1])[inside], 1, atol=1e-5)
    assert not inside.all() and np.all(images[~np.stack([inside, inside], axis=1)] == images.min())


@pytest.mark.parametrize("plan", PLANS, ids=["2-D", "3-D"])
def test_a_damaged_scan_of_the_archive_is_replaced_alike_in_every_run_and_told_once(tmp_path: Path, plan: Plan) -> None:
    world = World(tmp_path)
    damage(world.unlabeled[1])
    damage(world.unlabeled[3])
    with closing(world.batches(plan).iterate(0)) as stream:
        walked = [next(stream)[1] for _ in range(18)]
    assert [w.split(" ")[0] for w in sorted(world.listener.warnings)] == ["scan1.nrrd", "scan3.nrrd"]
    asked = world.batches(plan)
    assert all(same(asked.batch(n), walked[n]) for n in reversed(range(18)))


def test_a_damaged_scan_changes_no_other_patch(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan = tiny_plan(3, (16, 16, 16))
    whole = [world.batches(plan).batch(n) for n in range(8)]
    damage(world.unlabeled[2])
    broken = [world.batches(plan).batch(n) for n in range(8)]
    changed = sum(not torch.equal(a, b) for x, y in zip(whole, broken, strict=True)
                  for a, b in zip(x.images, y.images, strict=True))
    assert 1 <= changed <= 4


def test_a_scan_with_an_unreadable_header_is_left_out_with_its_reason(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.unlabeled[0].image.write_text("no scan")
    world.batches(PLANS[0]).batch(0)
    assert len(world.listener.warnings) == 1 and world.listener.warnings[0].startswith("scan0.nrrd")


@pytest.mark.parametrize("header_too", [False, True])
def test_an_archive_without_any_readable_scan_is_an_error(tmp_path: Path, header_too: bool) -> None:
    world = World(tmp_path, unlabeled=2)
    for case in world.unlabeled:
        damage(case)
        if header_too:
            case.image.write_text("no scan")
    with pytest.raises(UserError, match="None of the 2 scans"):
        world.batches(PLANS[0]).batch(0)


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_an_archive_folder_that_vanishes_ends_the_run_and_is_named(tmp_path: Path, left: str) -> None:
    world, disk = World(tmp_path, unlabeled=2), tmp_path / "disk"
    (disk / "scans").mkdir(parents=True)
    moved = replace(world.unlabeled[0], image=disk / "scans" / world.unlabeled[0].image.name)
    world.unlabeled[0].image.rename(moved.image)
    store = ScanStore([moved, *world.unlabeled[1:]], PLANS[0], None, budget_bytes=1, reporter=world.listener)
    store.folders = (tmp_path, disk)
    batches = TwoStreamBatches(world.store(world.labeled, PLANS[0]), store, PLANS[0],
                               Augmenter(NOTHING, 2, PLANS[0].patch_size), 0)
    batches.batch(0)
    shutil.rmtree(disk)
    if left == "an empty folder":
        disk.mkdir()
    with pytest.raises(UserError, match=f"The archive folder {disk} is not there any more"):
        for iteration in range(20):
            batches.batch(iteration)
    assert not world.listener.warnings[1:]


def test_a_damaged_labelled_scan_is_an_error(tmp_path: Path) -> None:
    world = World(tmp_path, labeled=1)
    damage(world.labeled[0])
    with pytest.raises(UserError, match="labeled0.nrrd"):
        world.batches(PLANS[0]).batch(0)


def test_an_error_in_the_background_reaches_the_caller(tmp_path: Path) -> None:
    world = World(tmp_path, labeled=1)
    damage(world.labeled[0])
    with closing(world.batches(PLANS[0]).iterate(0)) as stream, pytest.raises(UserError, match="labeled0.nrrd"):
        next(stream)


def test_a_scan_beyond_the_budget_still_trains_and_is_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    batches = world.batches(PLANS[0], budget=SCAN_BYTES // 2)
    assert batches.batch(0).images.shape[0] == 4
    assert len(world.listener.warnings) == 1 and "memory_gb" in world.listener.warnings[0]


def test_a_scan_beyond_the_budget_is_read_once_a_batch(tmp_path: Path, monkeypatch) -> None:
    world = World(tmp_path, unlabeled=1)
    batches = world.batches(tiny_plan(2, (16, 32), unlabeled=6), budget=SCAN_BYTES // 2)
    reads = _count_reads(monkeypatch, world.unlabeled)
    batches.batch(0)
    assert len(reads) == 1


def test_labels_only_makes_batches_of_the_labelled_part(tmp_path: Path) -> None:
    world = World(tmp_path, unlabeled=0)
    plan = PLANS[0]
    augmenter = Augmenter(AugmentConfig(), 2, plan.patch_size)
    batch = TwoStreamBatches(world.store(world.labeled, plan), None, plan, augmenter, 0).batch(3)
    assert batch.images.shape == (2, 1, 16, 32) and batch.n_labeled == 2


def test_labelled_crops_prefer_the_foreground(tmp_path: Path) -> None:
    """Of a slice of which a small corner is labelled, two thirds of the crops at least show some of it."""
    world = World(tmp_path, labeled=1)
    plan = tiny_plan(3, (16, 16, 16))
    world.labeled[0] = write_case(tmp_path, "wide", (16, 16, 300), label=True)
    _keep_label_only_at_the_end(world.labeled[0])
    batches = world.batches(plan, config=NOTHING)
    labels = torch.cat([batches.batch(n).labels for n in range(60)])
    assert 0.5 < (labels.flatten(1).amax(1) > 0).float().mean() < 0.85


def _keep_label_only_at_the_end(case: Case) -> None:
    label = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(case.label)))
    label[:, :, :280] = 0
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(label), str(case.label))


def test_seven_patients_of_136_slices_make_seventeen_iterations(tmp_path: Path) -> None:
    """method.md fact 25, with real files: 8 labelled patches a batch, from 14 volumes."""
    slices = [9, 9, 10, 10, 10, 10, 8, 8, 11, 11, 10, 10, 10, 10]
    world = World(tmp_path, unlabeled=2)
    world.labeled[:] = [write_case(tmp_path, f"p{n}", (k, 16, 16), label=True) for n, k in enumerate(slices)]
    batches = world.batches(tiny_plan(2, (16, 16), labeled=8, unlabeled=8), balanced=False)
    assert batches.iterations_per_epoch == 17
    assert batches.batch(16).labels.shape == (8, 16, 16) and batches.batch(16).images.shape[0] == 16
