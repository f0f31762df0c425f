"""Signals as PythonQt connects them: by signature string or by attribute, arguments cut to what the slot takes."""

from __future__ import annotations

import inspect
import sys
import traceback
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import shiboken6
from PySide6 import QtCore

MISSING = object()
_connect_original = QtCore.SignalInstance.connect
_disconnect_original = QtCore.SignalInstance.disconnect
_overload_original = QtCore.SignalInstance.__getitem__

# Signals of Qt 5 that modules may name and that Qt 6 calls otherwise.
RENAMED = {
    ("QComboBox", "currentIndexChanged(QString)"): "currentTextChanged",
    ("QComboBox", "activated(QString)"): "textActivated",
    ("QSpinBox", "valueChanged(QString)"): "textChanged",
    ("QDoubleSpinBox", "valueChanged(QString)"): "textChanged",
    ("QButtonGroup", "buttonClicked(int)"): "idClicked",
    ("QButtonGroup", "buttonToggled(int,bool)"): "idToggled",
    ("QProcess", "error(QProcess::ProcessError)"): "errorOccurred",
}
# A bare connection takes the overload that Qt 5 declares first: how many arguments that has.
FIRST_OVERLOADS = {" finished(int,QProcess::ExitStatus) ": 1}


@dataclass(frozen=True)
class SlotError:
    """An exception that a slot raised; PythonQt prints it and goes on, a test has to fail on it."""

    exception: BaseException
    text: str


slot_errors: list[SlotError] = []
_thunks: dict[tuple, list[weakref.ref]] = {}


def note_slot_error(exception: BaseException) -> None:
    """Print as PythonQt does, and remember."""
    text = "".join(traceback.format_exception(exception))
    sys.stderr.write(text)
    slot_errors.append(SlotError(exception, text))


def argument_limit(target: Callable) -> int | None:
    """How many arguments a callable gets at most: Python functions their positional ones, anything else all."""
    function = inspect.unwrap(getattr(target, "__func__", target))
    if not inspect.isfunction(function):
        return None
    parameters = inspect.signature(target).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


def _holder(target: Callable) -> Callable[[], Callable | None]:
    """Gives the target when it is needed; a method of a Qt object is held weakly, so that the object can go."""
    owner = getattr(target, "__self__", None)
    if not isinstance(owner, QtCore.QObject):
        return lambda: target
    reference, function, name = weakref.ref(owner), getattr(target, "__func__", None), target.__name__

    def get() -> Callable | None:
        receiver = reference()
        if receiver is None or not shiboken6.isValid(receiver):
            return None
        return getattr(receiver, name) if function is None else function.__get__(receiver)

    return get


def _thunk(target: Callable, limits: list[int | None]) -> Callable:
    """What Qt really calls: its parameters have defaults, so that PySide hands over every argument of the signal."""

    held = _holder(target)
    del target

    def receive(a=MISSING, b=MISSING, c=MISSING, d=MISSING, e=MISSING) -> None:  # noqa: ANN001, PLR0913
        slot = held()
        if slot is None:
            return
        arguments = [argument for argument in (a, b, c, d, e) if argument is not MISSING]
        for limit in limits:
            arguments = arguments if limit is None else arguments[:limit]
        try:
            slot(*arguments)
        except Exception as exception:  # noqa: BLE001 PythonQt prints whatever a slot raises
            note_slot_error(exception)

    return receive


def _key(target: object) -> tuple:
    """Equal for equal targets; holds nothing, as long as a connection lives its target's address is not given away."""
    owner = getattr(target, "__self__", None)
    if owner is None:
        return (id(target),)
    function = getattr(target, "__func__", None)
    return id(owner), target.__name__ if function is None else id(function)


def connect(signal: QtCore.SignalInstance, target: object, *rest: object, signature_limit: int | None = None) -> bool:
    """Connect a signal; as in PythonQt, True when that could be done.

    A method of a Qt object gets all arguments of the signal too: button.clicked.connect(dialog.accept) fails when
    clicked(bool) is emitted, where button.connect("clicked()", dialog.accept) works.
    """
    if isinstance(target, QtCore.SignalInstance) or not callable(target):
        _connect_original(signal, target, *rest)
        return True
    if signature_limit is None:
        signature_limit = next((limit for text, limit in FIRST_OVERLOADS.items() if text in repr(signal)), None)
    receive = _thunk(target, [signature_limit, argument_limit(target)])
    _thunks.setdefault(_key(target), []).append(weakref.ref(receive))
    _connect_original(signal, receive)
    return True


def disconnect(signal: QtCore.SignalInstance, target: object = None) -> bool:
    """Disconnect one connection of the target, or all of the signal; False when there was none."""
    if target is None or isinstance(target, QtCore.SignalInstance):
        return _disconnected(signal, *([] if target is None else [target]))
    known = _thunks.get(_key(target), [])
    for reference in reversed(known):
        receive = reference()
        if receive is None or _disconnected(signal, receive):
            known.remove(reference)
            if receive is not None:
                return True
    return False


def _disconnected(signal: QtCore.SignalInstance, *target: object) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # PySide's word for False
            return _disconnect_original(signal, *target) is not False
    except (RuntimeError, TypeError):
        return False


def overload(signal: QtCore.SignalInstance, types: object) -> QtCore.SignalInstance:
    """One overload of a signal, for stand-ins; modules cannot choose one so."""
    return _overload_original(signal, types)


def find_signal(sender: QtCore.QObject, signature: str) -> tuple[QtCore.SignalInstance | None, int]:
    """The signal that a C++ signature names, and how many arguments it has by that signature; None if there is none."""
    normalised = QtCore.QMetaObject.normalizedSignature(signature)
    normalised = normalised if isinstance(normalised, str) else bytes(normalised).decode()
    name, _, types = normalised.rstrip(")").partition("(")
    count = len(types.split(",")) if types else 0
    for cls in type(sender).__mro__:
        if (cls.__name__, normalised) in RENAMED:
            return getattr(sender, RENAMED[cls.__name__, normalised]), count
        if normalised in vars(cls).get("_vtk_signals", ()):
            return overload(getattr(sender, name), object), count
    if sender.metaObject().indexOfSignal(normalised) < 0:
        return None, 0
    signal = getattr(sender, name)
    if f" {normalised} " in repr(signal):
        return signal, count
    try:
        return (overload(signal, types) if types else signal), count
    except (IndexError, KeyError, TypeError):
        return signal, count


def connect_by_signature(sender: QtCore.QObject, signature: str, *target: object) -> bool:
    """obj.connect("sig(args)", callable), or (…, receiver, "slot(args)"); False and a line on stderr if unknown."""
    signal, count = find_signal(sender, signature)
    if signal is None:
        sys.stderr.write(f"QObject::connect: No such signal {type(sender).__name__}::{signature}\n")
        return False
    return connect(signal, _target(target), signature_limit=count)


def disconnect_by_signature(sender: QtCore.QObject, signature: str, *target: object) -> bool:
    """obj.disconnect("sig(args)"[, callable]); False when nothing was connected."""
    signal, _ = find_signal(sender, signature)
    return signal is not None and disconnect(signal, _target(target) if target else None)


def _target(target: tuple) -> object:
    if len(target) == 2:
        receiver, method = target
        return getattr(receiver, method.split("(")[0]) if isinstance(method, str) else method
    return target[0]


def _no_overloads(signal: QtCore.SignalInstance, types: object) -> None:
    raise TypeError("'Signal' object is not subscriptable")


def install_signals() -> None:
    """Make SignalInstance of PySide behave so."""
    signal_class = QtCore.SignalInstance
    signal_class.connect = connect
    signal_class.disconnect = disconnect
    signal_class.__getitem__ = _no_overloads
    signal_class.__call__ = lambda signal, *arguments: signal.emit(*arguments)
