"""Small good files of every format, and one change in each: what fuzz_readers.py reads."""

from __future__ import annotations

import gzip
import random
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

SHAPE = (4, 5, 6)
KINDS = ("nifti1", "nifti2", "nifti_packed", "nrrd", "nrrd_packed", "nrrd_detached", "mha", "mha_packed", "mhd",
         "dicom")

Files = dict[str, bytes]
"""Content by name; the first is the one to read."""

_NUMBERS = ("-1", "0", "1", "2", "3", "4", "7", "255", "65536", "2147483647", "2147483648", "4294967296", "9" * 19,
            "9" * 400, "1e400", "-1e400", "nan", "inf", "-inf", "1.5", "0x10", "1_0", "\u0661", "1e-320", "", "%d",
            "%s%n%s%n", "1" * 5000)
_TEXTS = ("", " ", "A" * 5000, "%s%n%s%n%s%n", "/etc/passwd", "../secret.bin", "scans/../../secret.bin", "C:\\x.raw",
          "a.raw\0", "LIST", "LIST 2", "s%d.raw 0 3 1", "s%d.raw 0 999999999 1", "s%999999999d.raw 0 3 1",
          "%s.raw 0 3 1", "s%d%d.raw 0 3 1", "LOCAL", "a.raw", "./a.raw", "..", ".", "nowhere.raw", "\u202edcba",
          "(1,0,0) (0,1,0)", "(1,0,0) (0,1,0) (0,0,0)", "(nan,0,0) (0,1,0) (0,0,1)", "(1,0,0) none (0,0,2)",
          "none none none", "right-anterior-superior", "left-anterior-superior", "LPS", "scanner-xyz", "RAST",
          "short", "ushort", "int8", "uchar", "float", "double", "int", "long long", "block", "raw", "gzip", "ascii",
          "hex", "bzip2", "little", "big", "True", "False", "true", "T", "1", "yes", "MET_CHAR", "MET_SHORT",
          "MET_USHORT", "MET_INT", "MET_LONG", "MET_LONG_LONG", "MET_FLOAT", "MET_DOUBLE", "MET_STRING",
          "MET_SHORT_ARRAY", "MET_OTHER", "domain domain domain", "list domain domain", "space space space",
          "time domain domain", "??? ??? ???", "node node node", "cell cell cell", "2 3 4", "-2 3 4", "nan 3 4",
          "0 1 0 1 0 0 0 0 1", "0 0 0 0 0 0 0 0 0", "0.6 0.8 0 -0.8 0.6 0 0 0 1")
_NRRD_FIELDS = ("type", "dimension", "sizes", "endian", "encoding", "space", "space directions", "space origin",
                "kinds", "spacings", "axis mins", "centerings", "data file", "line skip", "byte skip",
                "space dimension", "measurement frame", "labels", "unknown")
_META_FIELDS = ("NDims", "DimSize", "ElementType", "ElementDataFile", "ElementSpacing", "ElementSize", "Offset",
                "Position", "TransformMatrix", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB",
                "CompressedData", "CompressedDataSize", "HeaderSize", "ElementNumberOfChannels", "ObjectType",
                "Unknown")
_NIFTI1 = (("h", (40, 42, 44, 46, 48, 50, 70, 72, 252, 254)), ("i", (0,)), ("B", (123,)),
           ("f", (76, 80, 84, 88, 108, 112, 116, 256, 260, 264, 268, 272, 276, *range(280, 328, 4))))
_NIFTI2 = (("h", (12, 14)), ("q", (16, 24, 32, 40, 48, 56, 168)), ("i", (0, 344, 348, 500)),
           ("d", (104, 112, 120, 128, 176, 184, 352, 360, 368, 376, 384, 392, *range(400, 496, 8))))


def write_mutation(kind: str, seed: int, folder: Path) -> Path:
    """Writes a changed file of this kind, and what it needs beside it; returns the path to read."""
    return _write(_mutated(kind, random.Random(f"{kind} {seed}")), folder)


def write_good(kind: str, seed: int, folder: Path) -> Path:
    """The file that ``write_mutation`` changes, as it was before."""
    return _write(_good(kind, random.Random(f"{kind} {seed}")), folder)


def _write(files: Files, folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def _mutated(kind: str, rng: random.Random) -> Files:
    """One change, or two, in a good file."""
    files = _good(kind, rng)
    name, *others = files
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        where = rng.random()
        if where < 0.08 and others:
            other = rng.choice(others)
            files[other] = _any_bytes(files[other], rng)
        elif kind.startswith("nifti"):
            files[name] = _nifti_change(files[name], kind, rng)
        elif kind == "dicom":
            files[name] = _dicom_change(files[name], rng)
        else:
            files[name] = _text_change(files[name], kind, rng)
    return files


def _good(kind: str, rng: random.Random) -> Files:
    """A file that every reader takes; its voxels and grid are drawn."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    order = rng.choice("<>")
    array = numbers.integers(-120, 120, SHAPE).astype(rng.choice(["i1", "i2", "i4", "f4", "f8"]))
    if kind.startswith("nifti"):
        return _good_nifti(kind, array, order, rng)
    if kind.startswith("nrrd"):
        return _good_nrrd(kind, array, order, rng)
    return _good_dicom(array.astype("<i2"), rng) if kind == "dicom" else _good_meta(kind, array, order, rng)


def _rotation(rng: random.Random) -> np.ndarray:
    """A (3, 3) orthonormal matrix; sometimes the axes themselves."""
    if rng.random() < 0.3:
        return np.eye(3)[rng.sample(range(3), 3)] * [rng.choice((-1, 1)) for _ in range(3)]
    return np.linalg.qr(np.random.default_rng(rng.getrandbits(32)).normal(size=(3, 3)))[0]


def _good_nifti(kind: str, array: np.ndarray, order: str, rng: random.Random) -> Files:
    version = 2 if kind == "nifti2" else 1
    code = {"i1": 256, "i2": 4, "i4": 8, "f4": 16, "f8": 64}[array.dtype.str[1:]]
    affine = np.column_stack([_rotation(rng) * [0.7, 1.1, 2.5], [3.0, -4.0, 5.0]])
    header = bytearray(348 if version == 1 else 540)
    real, whole = ("f", "h") if version == 1 else ("d", "q")
    slope, intercept = rng.choice(((1.0, 0.0), (0.0, 0.0), (0.5, 3.0)))
    at = {"dim": 40, "type": 70, "bits": 72, "pixdim": 76, "offset": 108, "slope": 112, "form": 252, "rows": 280}
    if version == 2:
        at = {"dim": 16, "type": 12, "bits": 14, "pixdim": 104, "offset": 168, "slope": 176, "form": 344, "rows": 400}
    struct.pack_into(f"{order}i", header, 0, len(header))
    struct.pack_into(f"{order}8{whole}", header, at["dim"], 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into(f"{order}h", header, at["type"], code)
    struct.pack_into(f"{order}h", header, at["bits"], 8 * array.itemsize)
    struct.pack_into(f"{order}8{real}", header, at["pixdim"], 1, 0.7, 1.1, 2.5, 0, 0, 0, 0)
    offset = len(header) + 4 + rng.choice((0, 0, 16))
    struct.pack_into(f"{order}{'f' if version == 1 else 'q'}", header, at["offset"], offset)
    struct.pack_into(f"{order}2{real}", header, at["slope"], slope, intercept)
    struct.pack_into(f"{order}2{'h' if version == 1 else 'i'}", header, at["form"], 0, rng.choice((1, 1, 0)))
    struct.pack_into(f"{order}12{real}", header, at["rows"], *affine.ravel())
    magic, place = (b"n+1\0", 344) if version == 1 else (b"n+2\0\r\n\x1a\n", 4)
    header[place:place + len(magic)] = magic
    content = bytes(header).ljust(offset, b"\0") + array.astype(array.dtype.newbyteorder(order)).tobytes()
    return {"a.nii.gz": gzip.compress(content, 1, mtime=0)} if kind == "nifti_packed" else {"a.nii": content}


def _good_nrrd(kind: str, array: np.ndarray, order: str, rng: random.Random) -> Files:
    names = {"i1": "int8", "i2": "short", "i4": "int", "f4": "float", "f8": "double"}
    steps = (_rotation(rng) * [[0.7], [1.1], [2.5]]).tolist()
    body = array.astype(array.dtype.newbyteorder(order)).tobytes()
    encoding = rng.choice(("raw", "gzip") if kind == "nrrd_detached" else ("gzip",) if kind == "nrrd_packed" else
                          ("raw", "raw", "ascii", "hex"))
    packed = {"raw": lambda: body, "gzip": lambda: gzip.compress(body, 1, mtime=0), "hex": lambda: body.hex().encode(),
              "ascii": lambda: " ".join(repr(float(v)) if array.dtype.kind == "f" else str(int(v))
                                        for v in array.ravel()).encode()}[encoding]()
    lines = ["NRRD0005", "# made by hand", f"type: {names[array.dtype.str[1:]]}", "dimension: 3", "sizes: 6 5 4",
             f"encoding: {encoding}", f"endian: {'little' if order == '<' else 'big'}"]
    if rng.random() < 0.8:
        vectors = " ".join("(" + ",".join(f"{x:.17g}" for x in step) + ")" for step in steps)
        lines += [f"space: {rng.choice(('left-posterior-superior', 'RAS', 'left-anterior-superior'))}",
                  "kinds: domain domain domain", f"space directions: {vectors}", "space origin: (3,-4,5.25)"]
    elif rng.random() < 0.7:
        lines += ["spacings: 0.7 1.1 2.5", "axis mins: 1 2 3"]
    lines += ["key:=value"]
    if kind != "nrrd_detached":
        return {"a.nrrd": "\n".join([*lines, "", ""]).encode() + packed}
    packing = (lambda part: gzip.compress(part, 1, mtime=0)) if encoding == "gzip" else bytes
    slices = [packing(body[n * len(body) // 4:(n + 1) * len(body) // 4])
              for n in range(4)]
    many = {f"s{n}.raw": part for n, part in enumerate(slices)}
    where = rng.choice(("a.raw", "a.raw", "LIST", "s%d.raw 0 3 1"))
    listing = [f"data file: {where}", *(many if where == "LIST" else ())]
    return {"a.nhdr": "\n".join([*lines, *listing, ""]).encode(), "a.raw": packed, **many}


def _good_meta(kind: str, array: np.ndarray, order: str, rng: random.Random) -> Files:
    names = {"i1": "CHAR", "i2": "SHORT", "i4": "INT", "f4": "FLOAT", "f8": "DOUBLE"}
    body = array.astype(array.dtype.newbyteorder(order)).tobytes()
    packed = zlib.compress(body) if kind == "mha_packed" or (kind == "mhd" and rng.random() < 0.3) else body
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True",
             f"BinaryDataByteOrderMSB = {order == '>'}", f"CompressedData = {packed is not body}"]
    if packed is not body:
        lines += [f"CompressedDataSize = {len(packed)}"]
    if rng.random() < 0.8:
        lines += [f"TransformMatrix = {' '.join(f'{x:.17g}' for x in _rotation(rng).ravel())}", "Offset = 3 -4 5.25",
                  "CenterOfRotation = 0 0 0", "AnatomicalOrientation = RAI", "ElementSpacing = 0.7 1.1 2.5"]
    lines += ["DimSize = 6 5 4", f"ElementType = MET_{names[array.dtype.str[1:]]}"]
    if kind != "mhd":
        return {"a.mha": "\n".join([*lines, "ElementDataFile = LOCAL", ""]).encode() + packed}
    many = {f"s{n}.raw": body[n * len(body) // 4:(n + 1) * len(body) // 4] for n in range(4)}
    where = "a.raw" if packed is not body else rng.choice(("a.raw", "a.raw", "LIST", "s%d.raw 0 3 1"))
    listing = [f"ElementDataFile = {where}", *(many if where == "LIST" else ())]
    return {"a.mhd": "\n".join([*lines, *listing, ""]).encode(), "a.raw": packed, **many}


def _good_dicom(array: np.ndarray, rng: random.Random) -> Files:
    from io import BytesIO

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, "1.2.3.4", "CT"
    dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.2.3"
    dataset.SeriesInstanceUID, dataset.PatientID, dataset.InstanceNumber = "1.2.3.1", "0000", 1
    dataset.ImagePositionPatient = [3.0, -4.0, 5.25]
    dataset.ImageOrientationPatient = [f"{x:.8f}" for x in _rotation(rng)[:2].ravel()]
    dataset.PixelSpacing, dataset.SliceThickness = [1.1, 0.7], 2.5
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 5, 6, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = rng.choice(((1, 0), (2, -1024), (0.5, 0)))
    dataset.PixelData = array[0].tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = rng.choice((ExplicitVRLittleEndian, ImplicitVRLittleEndian))
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return {"a.dcm": stream.getvalue()}


def _text_change(content: bytes, kind: str, rng: random.Random) -> bytes:
    """A change in a text header, most of all in its fields; sometimes in any byte of the file."""
    if rng.random() < 0.15:
        return _any_bytes(content, rng)
    end = re.search(rb"\n\n|ElementDataFile[^\n]*\n", content)
    head, body = (content, b"") if end is None else (content[:end.end()], content[end.end():])
    changes: tuple[Callable[[bytes, str, random.Random], bytes], ...] = (
        _number_change, _value_change, _value_change, _line_change, _new_field, _any_bytes_of)
    return rng.choice(changes)(head, kind, rng) + body


def _any_bytes_of(head: bytes, kind: str, rng: random.Random) -> bytes:
    return _any_bytes(head, rng)


def _number_change(head: bytes, kind: str, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"[-+]?\d+(\.\d+)?", head))
    if not found:
        return head
    match = rng.choice(found)
    return head[:match.start()] + rng.choice(_NUMBERS).encode() + head[match.end():]


def _value_change(head: bytes, kind: str, rng: random.Random) -> bytes:
    lines = head.split(b"\n")
    index = rng.randrange(len(lines))
    parts = re.split(rb"(: |:=| = )", lines[index], maxsplit=1)
    value = rng.choice((*_TEXTS, *_NUMBERS)).encode()
    lines[index] = b"".join((*parts[:2], value)) if len(parts) == 3 else value
    return b"\n".join(lines)


def _new_field(head: bytes, kind: str, rng: random.Random) -> bytes:
    lines = head.split(b"\n")
    fields, sign = (_NRRD_FIELDS, ": ") if kind.startswith("nrrd") else (_META_FIELDS, " = ")
    line = f"{rng.choice(fields)}{sign}{rng.choice((*_TEXTS, *_NUMBERS))}".encode()
    lines.insert(rng.randrange(max(1, len(lines) - 2)), line)
    return b"\n".join(lines)


def _line_change(head: bytes, kind: str, rng: random.Random) -> bytes:
    lines = head.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.randrange(5)
    if how == 0:
        del lines[first]
    elif how == 1:
        lines.insert(second, lines[first])
    elif how == 2:
        lines[first], lines[second] = lines[second], lines[first]
    elif how == 3:
        lines[first] = lines[first] * rng.choice((2, 100))
    else:
        return head.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n")))
    return b"\n".join(lines)


def _any_bytes(content: bytes, rng: random.Random) -> bytes:
    """Some bits, bytes or a piece changed, wherever they are; or the end cut off."""
    changed, how = bytearray(content), rng.randrange(6)
    if not changed:
        return b"\0"
    place = rng.randrange(len(changed))
    if how == 0:
        changed[place] ^= 1 << rng.randrange(8)
    elif how == 1:
        changed[place] = rng.randrange(256)
    elif how == 2:
        del changed[place:place + rng.choice((1, 2, 16, 200))]
    elif how == 3:
        changed[place:place] = rng.randbytes(rng.choice((1, 2, 16, 300)))
    elif how == 4:
        del changed[place:]
    else:
        changed[place:place + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\x7f" * 8, b"\x80" + b"\0" * 7))
    return bytes(changed)


def _nifti_change(content: bytes, kind: str, rng: random.Random) -> bytes:
    """A field of the header, or any byte; of a packed file before or after it is packed."""
    if kind == "nifti_packed":
        if rng.random() < 0.3:
            return _any_bytes(content, rng)
        try:
            plain = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return content
        return gzip.compress(_nifti_change(plain, "nifti1", rng), 1, mtime=0)
    if rng.random() < 0.3 or len(content) < 540:
        return _any_bytes(content, rng)
    code, places = rng.choice(_NIFTI2 if kind == "nifti2" else _NIFTI1)
    nasty = {"h": (-1, 0, 1, 2, 4, 5, 7, 8, 16, 64, 128, 255, 256, 512, 32767, -32768),
             "i": (-1, 0, 1, 2, 3, 348, 540, 2**31 - 1, -2**31),
             "q": (-1, 0, 1, 3, 4, 352, 544, 545, 560, 2**31, 2**40, 2**62, 2**63 - 1, -2**63),
             "B": (0, 1, 2, 3, 4, 255)}.get(code, (
                 -1.0, 0.0, 1.0, 0.5, 347.0, 348.0, 352.0, 352.5, 353.0, 1e9, 1e30, -1e30, 1e-38, 1e-300, float("nan"),
                 float("inf"), float("-inf")))
    changed = bytearray(content)
    number = rng.choice(nasty)
    order = "<" if content[0] in (92, 28) else ">"
    if code == "f" and abs(number) < 1e-40:
        number = 0.0
    struct.pack_into(f"{order}{code}", changed, rng.choice(places), number)
    return bytes(changed)


def _dicom_change(content: bytes, rng: random.Random) -> bytes:
    """A byte anywhere behind the preamble, or a text of numbers replaced by another of its length."""
    if rng.random() < 0.5 or len(content) < 200:
        head = content[:132]
        return head + _any_bytes(content[132:], rng) if rng.random() < 0.95 else _any_bytes(content, rng)
    found = list(re.finditer(rb"[-0-9.\\]{2,}", content[132:]))
    match = rng.choice(found)
    text = rng.choice(_NUMBERS).encode()[: len(match[0])].ljust(len(match[0]), rng.choice((b" ", b"\0", b"9", b"\\")))
    return content[:132 + match.start()] + text + content[132 + match.end():]
