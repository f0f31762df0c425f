"""What each library raises when the memory is used up, or when it does not like a model, turned into errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alhvr.core.errors import ModelError, OutOfMemory, UserError
from alhvr.core.files import shown

LONGEST_REASON = 200
_NO_MEMORY = ("out of memory", "allocate memory", "bad_alloc", "bad allocation", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """True for what Python, torch, onnxruntime and OpenVINO raise when a GPU or the machine has no memory left."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


@contextmanager
def memory_as_user_error(device: str, *kinds: type[Exception]) -> Iterator[None]:
    """Raises OutOfMemory where the code inside runs out of memory; ``kinds`` are the library's own exceptions."""
    try:
        yield
    except (MemoryError, RuntimeError, *kinds) as error:
        if not is_out_of_memory(error):
            raise
        hint = "Close other programs." if device == "cpu" else "Close other programs, or use --device cpu."
        raise OutOfMemory(f"The memory of {device} is used up.", hint) from error


@contextmanager
def as_model_error(library: str, device: str = "cpu") -> Iterator[None]:
    """Raises OutOfMemory where the code inside, which is work of ``library`` alone, runs out of memory on ``device``.

    Whatever else the library raises becomes a ModelError with the first line of what it says.
    """
    try:
        with memory_as_user_error(device, Exception):
            yield
    except UserError:
        raise
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{library} cannot run the networks of this model: {shown(said)[:LONGEST_REASON]}",
                         "Copy the model folder again, or choose another --backend.") from error
