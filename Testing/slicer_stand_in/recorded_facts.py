"""Run recorded idioms and put what comes out into the words of the recordings, so that both can be compared."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
from typing import Any

HERE = pathlib.Path(__file__).parent


def load(name: str) -> Any:
    """The content of a data file beside this one."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def run_idiom(code: str, names: dict[str, object]) -> Any:
    """What the idiom leaves in R, or the exception that it raised; what it prints is swallowed."""
    space = {"R": None, **names}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(code, "<idiom>", "exec"), space)  # noqa: S102
        except Exception as exception:  # noqa: BLE001 whatever comes is the answer
            return exception
    result = space["R"]
    for name in reversed(list(space)):  # a QSignalBlocker may not outlive what it blocks
        del space[name]
    return result


def oracle_words(value: Any) -> Any:
    """As in oracle_pythonqt.json: "!TypeError", "b:bytes", "<QWidget>", "<callable>", lists for tuples."""
    if isinstance(value, Exception):
        return f"!{type(value).__name__}"
    if isinstance(value, bytes):
        return "b:" + value.decode()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return round(float(value), 6) if isinstance(value, float) else int(value)
    if isinstance(value, dict):
        return {str(key): oracle_words(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [oracle_words(item) for item in value]
    return "<callable>" if callable(value) else f"<{type(value).__name__}>"


def widget_words(value: Any) -> Any:
    """As in slicer-widget-facts.json: {"tuple": [...]}, "<vtkMRMLScalarVolumeNode name>", "<callable>"."""
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return float(value) if isinstance(value, float) else int(value)
    if isinstance(value, tuple):
        return {"tuple": [widget_words(item) for item in value]}
    if isinstance(value, list):
        return [widget_words(item) for item in value]
    if hasattr(value, "GetClassName"):
        name = value.GetName() if hasattr(value, "GetName") else None
        return f"<{value.GetClassName()} {name}>" if name else f"<{value.GetClassName()}>"
    return "<callable>" if callable(value) else f"<{type(value).__name__}>"


def same_answer(recorded: dict[str, Any], words: Any) -> bool:
    """Whether a row's record and our words agree; of errors only the kind counts, texts differ between builds."""
    if "error" in recorded:
        kind = recorded["error"].split(":")[0]
        return isinstance(words, str) and words.split(":")[0] == kind
    return words == recorded["result"] and type(words) is type(recorded["result"])


def widget_space() -> dict[str, Any]:
    """The names that the idioms of slicer-widget-facts.json use, on the booted stand-in."""
    import ctk
    import qt
    import slicer

    def newscene() -> Any:
        return slicer.vtkMRMLScene()

    def vol(scene: Any, name: str) -> Any:
        return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)

    def seg(scene: Any) -> Any:
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "g")
        node.GetSegmentation().AddEmptySegment("S1", "one")
        node.GetSegmentation().AddEmptySegment("S2", "two")
        return node

    def watch(widget: Any, *signatures: str) -> list:
        log: list = []
        for signature in signatures:
            widget.connect(signature, lambda *values, signature=signature: log.append([signature, *values]))
        return log

    def name(node: Any) -> str | None:
        return node.GetName() if node is not None else None

    return {"qt": qt, "ctk": ctk, "slicer": slicer, "app": slicer.app, "newscene": newscene, "vol": vol, "seg": seg,
            "watch": watch, "name": name}  # fmt: skip
