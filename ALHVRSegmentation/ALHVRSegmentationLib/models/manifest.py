"""Manifest: which files a model consists of and how large they are; nothing else of its folder is looked at."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from ALHVRSegmentationLib.models.safe_files import ModelError, is_safe_name, one_line, read_json

FORMAT, FORMAT_VERSION = "alhvr-model", 1
MANIFEST, DESCRIPTION = "manifest.json", "alhvr.json"
NEEDED = (DESCRIPTION, "models/model.pt", "docs/README.md")
GRAPHS = tuple(f"models/{network}_{half}.onnx" for network in "ab" for half in ("encoder", "decoder"))
MAX_FILES = 200
MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class Manifest:
    """The files of a model."""

    sizes: dict
    """Bytes by name, relative to the folder, with forward slashes; the manifest itself is not among them."""
    digests: dict
    """sha256 in hexadecimal digits by name."""

    @property
    def total(self):
        """Bytes of all files."""
        return sum(self.sizes.values())

    @property
    def has_graphs(self):
        """Whether the networks are there as ONNX, so that segmenting needs no PyTorch."""
        return set(GRAPHS) <= self.sizes.keys()


def parse_manifest(data):
    """The manifest in the bytes of manifest.json; raises ModelError for anything that no engine of ours wrote."""
    values = read_json(data, MANIFEST)
    if values.get("format") != FORMAT:
        raise ModelError(_("This is no ALHVR model."))
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelError(_("{file} names no model format.").format(file=MANIFEST))
    if version > FORMAT_VERSION:
        text = _("The model has format {version} and this extension reads up to {known}: update the extension.")
        raise ModelError(text.format(version=one_line(version, 20), known=FORMAT_VERSION))
    files = values.get("files")
    if not isinstance(files, dict) or not set(NEEDED) <= files.keys():
        raise ModelError(_("{file} is damaged: it does not list the files of a model.").format(file=MANIFEST))
    return _checked(files)


def _checked(files):
    if len(files) > MAX_FILES:
        raise ModelError(_("{file} lists more files than any model has.").format(file=MANIFEST))
    for name, entry in files.items():
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if not is_safe_name(name) or type(size) is not int or size < 0:
            text = _("{file} is damaged: it has the entry \"{name}\".")
            raise ModelError(text.format(file=MANIFEST, name=one_line(name)))
    if len({name.casefold() for name in files} | {MANIFEST}) <= len(files):
        raise ModelError(_("{file} is damaged: it lists a file twice.").format(file=MANIFEST))
    manifest = Manifest(
        {name: entry["bytes"] for name, entry in files.items()},
        {name: str(entry.get("sha256")) for name, entry in files.items()},
    )
    if manifest.total > MAX_BYTES:
        raise ModelError(_("{file} lists more data than any model has.").format(file=MANIFEST))
    return manifest
