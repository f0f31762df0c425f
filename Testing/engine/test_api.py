"""The public API: few names, light to import, documented, and the README's example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT
from tiny_runs import make_scan, write_scan, write_study

import alhvr
from alhvr.data.reading import read_label

MOST_NAMES = 12


def test_the_api_has_few_names_and_each_says_what_it_is() -> None:
    assert len(alhvr.__all__) <= MOST_NAMES and sorted(alhvr.__all__) == alhvr.__all__
    for name in alhvr.__all__:
        assert getattr(alhvr, name).__doc__.strip(), name
        assert name in dir(alhvr) and f"`{name}" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_importing_the_package_loads_no_library_and_changes_no_variable() -> None:
    program = ("import os, sys; before = dict(os.environ); import alhvr\n"
               "assert not {'numpy', 'torch', 'SimpleITK'} & set(sys.modules) and dict(os.environ) == before")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_telemetry_is_off_before_onnxruntime_is_loaded_by_the_api_too() -> None:
    program = ("import os, sys; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
               "class Watch:\n"
               "    def find_spec(self, name, *_):\n"
               "        assert name != 'onnxruntime' or os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
               "sys.meta_path.insert(0, Watch())\n"
               "import alhvr.inference.onnx_backend; assert 'onnxruntime' in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_command_gives_numpy_one_thread_before_numpy_is_loaded() -> None:
    program = ("import os, sys; os.environ.pop('OPENBLAS_NUM_THREADS', None)\n"
               "class Watch:\n"
               "    def find_spec(self, name, *_):\n"
               "        assert name != 'numpy' or os.environ['OPENBLAS_NUM_THREADS'] == '1'\n"
               "sys.meta_path.insert(0, Watch())\n"
               "import alhvr.cli; alhvr.cli.main(['describe', 'none']); assert 'numpy' in sys.modules")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = alhvr.nothing


def test_settings_that_are_not_known_are_refused() -> None:
    assert alhvr.RunConfig.of(training={"iterations": 7}).training.iterations == 7
    with pytest.raises(alhvr.UserError, match="unknown setting 'iteration'"):
        alhvr.RunConfig.of(training={"iteration": 7})


def test_an_archive_may_be_one_folder_or_several(tmp_path: Path) -> None:
    one, two = (write_scan(tmp_path / name / "scan.nrrd", make_scan(seed)[0]).parent
                for seed, name in enumerate(("one", "two")))
    assert [f.case.name for f in alhvr.check(unlabeled=str(one)).facts] == ["scan"]
    assert [f.case.name for f in alhvr.check(unlabeled=[one, two]).facts] == ["scan", "two_scan"]


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    """In a process of its own, with fewer steps; then files are checked, segmented and scored in the same way."""
    study = write_study(tmp_path)
    (study / "labeled").rename(study / "labelled")
    image, label = make_scan(500)
    write_scan(tmp_path / "new" / "scan-01.nii.gz", image)
    write_scan(tmp_path / "truth" / "scan-01.nii.gz", label)
    example = re.search(r"## From Python.*?```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    quick = ('training={"iterations": 40, "threads": 1, "precision": "fp32"}, '
             'plan={"patch_size": [32, 32], "batch_size": 4, "width": 8}')
    script = example[1].replace('training={"iterations": 2000}', quick)
    assert script != example[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+ voxels to look at, confidence threshold 0\.\d+\n", done.stdout) and done.stderr == ""
    found = read_label(tmp_path / "scan-01.seg.nrrd").array
    assert 2 * ((found == label) & (label > 0)).sum() / ((found > 0).sum() + (label > 0).sum()) > 0.7

    result = alhvr.segment(tmp_path / "run" / "model", tmp_path / "new", out=tmp_path / "out")
    assert [one.kind for one in result.outcomes] == ["segmented"]
    report = alhvr.evaluate(tmp_path / "out", tmp_path / "truth")
    assert report.structures == ("liver", "spleen") and "Dice" in report.table() and report.summary()
    assert alhvr.check(study / "labelled").findings is not None
