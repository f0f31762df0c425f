"""The command line: help everywhere, exit codes, one line for a mistake, settings from files and presets."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alhvr import cli
from alhvr.arguments import build_parser, run_config
from alhvr.config import RunConfig, to_dict
from alhvr.core.errors import Cancelled, UserError
from alhvr.presets import OFFICIAL_METHOD, PAPER_METHOD, with_preset

COMMANDS = ["demo", "sample", "check", "train", "segment", "rank", "evaluate", "describe"]


def complaint(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """The one line on stderr of a command that must end with exit code 2."""
    assert cli.main([str(a) for a in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("alhvr: ")
    return line


def settings(*arguments: str) -> RunConfig:
    return run_config(build_parser().parse_args(["train", "--out", "run", *map(str, arguments)]))


@pytest.mark.parametrize("command", [[], *([c] for c in COMMANDS)])
def test_every_command_has_help_and_says_that_it_is_no_medical_device(command, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0 and "Not a medical device" in text and f"usage: {' '.join(['alhvr', *command])}" in text


def test_help_lists_every_command(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n    {command} " in text for command in COMMANDS)


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "alhvr", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("alhvr ")


def test_help_needs_no_heavy_library() -> None:
    program = "import sys, alhvr.cli as c\ntry: c.main(['check', '--help'])\nexcept SystemExit: pass\n" \
              "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'SimpleITK', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "the following arguments are required: COMMAND"),
    (["trian"], "invalid choice: 'trian'"),
    (["train"], "--out is missing. Give the folder of the run, or --project."),
    (["rank"], "--model is missing. Give a model and the folders of the archive, or --project."),
    (["rank", "--model", "m"], "ARCHIVE is missing. Give a model and the folders of the archive, or --project."),
    (["rank", "--model", "m", "a", "--count", "0"], "--count is 0. Accepted: 1 to 1000."),
    (["rank", "--project", "p", "--known", "k"], "p is no project: it has no project.json"),
    (["train", "--out", "r", "--iterations", "many"], "argument --iterations: invalid int value: 'many'"),
    (["train", "--out", "r", "--iterations", "3", "--minutes", "2"], "not allowed with argument"),
    (["train", "--out", "r", "--patch-size", "a,b"], "'a,b' is not a list of whole numbers such as 96,96,96"),
    (["train", "--out", "r", "--beta", "1.5"], "beta is 1.5. Accepted: a number above 0 and at most 1."),
    (["train", "--out", "r", "--beta", "nan"], "beta is nan. Accepted: "),
    (["train", "--out", "r", "--temperature", "0"], "temperature is 0.0. Accepted: "),
    (["train", "--out", "r", "--minutes", "inf"], "minutes is inf. Accepted: "),
    (["train", "--out", "r", "--batch-size", "1"], "batch-size is 1. Accepted: "),
    (["train", "--out", "r", "--patch-size", "100,100"], "patch-size is (100, 100). Accepted: "),
    (["train", "--out", "r", "--preset", "worst"], "argument --preset: invalid choice: 'worst'"),
    (["check"], "There is no folder to check. Give --labeled, --unlabeled or --validation."),
    (["check", "--labeled", ".", "--not-annotated", "0"], "not-annotated is 0. Accepted: a label value of 1 to 65535"),
    (["check", "--labeled", ".", "--out", "c.html"], "--out is c.html. Give a file that ends in .json"),
    (["check", "--labeled", ".", "--out", "no/c.json"], "There is no folder no. Make it, or give another --out."),
    (["segment", "--model", "m", "--out", "o"], "the following arguments are required: INPUT"),
    (["segment", "--model", "m", "--out", "o", "x", "--format", "dcm"], "argument --format: invalid choice: 'dcm'"),
    (["describe", "no/such/model"], "There is no model folder no/such/model."),
    (["evaluate", "--predictions", ".", "--reference", "no/such"], "There is no folder no/such."),
])
def test_a_mistake_is_one_line_with_what_was_seen(arguments, message, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capsys, *arguments)


@pytest.mark.parametrize("flag", [["--progress", "json"], ["--progress=json"]])
def test_programs_hear_of_a_mistake_as_json_too(flag, capsys) -> None:
    assert cli.main(["train", "--out", "r", "--iterations", "many", *flag]) == 2
    seen = capsys.readouterr()
    event = json.loads(seen.out)
    assert event["event"] == "error" and "'many'" in event["message"] and event["hint"] == "See: alhvr train --help"
    assert seen.err.count("\n") == 1 and "'many'" in seen.err


@pytest.mark.parametrize(("raised", "code", "text"), [
    (UserError("A thing\nis wrong.", "Fix it."), 2, "alhvr: A thing is wrong. Fix it."),
    (OSError(13, "Permission denied", "/f/file"), 2, "alhvr: /f/file: Permission denied. Check the path, its permis"),
    (OSError(28, "No space left on device", "/full/file"), 2,
     "alhvr: file could not be written: the disk of /full is full. Free some disk space or choose another folder."),
    (MemoryError(), 2, "alhvr: The memory is used up."),
    (Cancelled("Stopped. Go on with: x"), 130, "Stopped. Go on with: x"),
    (KeyboardInterrupt(), 130, "Cancelled."),
])
def test_every_way_to_end_has_its_exit_code_and_line(raised, code, text, capsys, monkeypatch) -> None:
    def end(options, reporter) -> None:
        raise raised

    monkeypatch.setitem(cli.COMMANDS, "describe", end)
    assert cli.main(["describe", "m"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(text)


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "describe", lambda options, reporter: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["describe", "m"])


def test_output_that_the_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setitem(cli.COMMANDS, "describe", lambda options, reporter: sys.stdout.write("Müller 肝"))
    assert cli.main(["describe", "m"]) == 0
    sys.stdout.flush()
    assert raw.getvalue() == b"M\\xfcller \\u809d"


@pytest.mark.parametrize("command", ["check", "train", "compare"])
def test_the_archive_may_have_several_folders(command: str) -> None:
    options = build_parser().parse_args([command, "--unlabeled", "a", "--unlabeled", "b"])
    assert options.unlabeled == [Path("a"), Path("b")]


def test_a_settings_file_is_read_and_options_overrule_it(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text('\ufeff{"training": {"iterations": 7, "seed": 3}, "method": {"beta": 0.5}}', encoding="utf-8")
    config = settings("--config", file, "--iterations", "9", "--patch-size", "32,48", "--device", "cpu")
    assert (config.training.iterations, config.training.seed, config.method.beta) == (9, 3, 0.5)
    assert config.plan.patch_size == (32, 48) and config.training.device == "cpu"


@pytest.mark.parametrize(("content", "message"), [
    ('{"training": {"iteration": 7}}', r"settings\.training: unknown setting 'iteration'\. Known settings: iterations"),
    ('{"trainin": {}}', r"unknown setting 'trainin'\. Known settings: method, training, plan, data, segmenting"),
    ("{", r"cannot be read .*Give a JSON file with the parts method, training, plan, data, segmenting"),
    ("[]", "expected named values"),
])
def test_a_wrong_settings_file_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(UserError, match=message):
        settings("--config", tmp_path / "c.json")


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json cannot be read"):
        settings("--config", tmp_path / "none.json")


def test_the_official_preset_switches_everything_and_options_still_count(tmp_path: Path) -> None:
    config = settings("--preset", "official", "--beta", "0.9", "--seed", "4")
    released = with_preset(RunConfig(), "official")
    assert config.method == type(OFFICIAL_METHOD)(**{**to_dict(OFFICIAL_METHOD), "beta": 0.9})
    assert config.training == type(released.training)(**{**vars(released.training), "seed": 4})


def test_a_settings_file_may_name_the_official_preset(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"method": {"preset": "official", "beta": 0.9}, "training": {"iterations": 5}}')
    config = settings("--config", tmp_path / "c.json")
    assert config.method.dice == "official" and config.method.beta == 0.9 and config.training.ema_decay == 0.0


def test_the_paper_preset_overrules_the_method_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"method": {"beta": 0.5}, "training": {"iterations": 5}}')
    config = settings("--config", tmp_path / "c.json", "--preset", "paper")
    assert config.method == type(PAPER_METHOD)(**{**vars(PAPER_METHOD), "beta": None})
    assert config.training.iterations == 5


def test_the_config_that_a_run_writes_can_be_given_again(tmp_path: Path) -> None:
    config = settings("--preset", "official", "--minutes", "3", "--patch-size", "32,32")
    (tmp_path / "config.json").write_text(json.dumps(to_dict(config)))
    assert settings("--config", tmp_path / "config.json") == config


def test_a_reader_that_leaves_early_sees_no_traceback() -> None:
    command = f"{sys.executable} -m alhvr train --help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=os.environ)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("content", "reason"), [
    ("[" * 100_000, "is nested too deeply to be read"), ("{", "is not valid JSON"),
    (None, "is a pipe; a file is expected"),
])
def test_settings_that_cannot_be_read_are_one_line(tmp_path, capsys, content: str | None, reason: str) -> None:
    path = tmp_path / "settings.json"
    os.mkfifo(path) if content is None else path.write_text(content)
    assert cli.main(["train", "--labeled", "l", "--out", str(tmp_path / "run"), "--config", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("alhvr: The settings file ") and reason in line
