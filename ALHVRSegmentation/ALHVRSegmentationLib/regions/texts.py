"""Texts: numbers and names of the regions as people read them."""

from slicer.i18n import tr as _

from ALHVRSegmentationLib.regions.values import UNRELIABLE_STABLE

FIRST = 20
"""Places that people may look through in one sitting."""


def number_text(ml):
    """A volume in ml, with three digits that matter."""
    if 0 < ml < 0.001:
        return "< 0.001"
    digits = 1 if ml >= 10 else 2 if ml >= 1 else 3
    return f"{ml:.{digits}f}"


def volume_text(ml):
    """A volume with its unit; "" for None."""
    return "" if ml is None else _("{volume} ml").format(volume=number_text(ml))


def region_name(region):
    """How many networks are sure in region 2 or 3, for the list."""
    return _("none") if region == UNRELIABLE_STABLE else _("one")


def result_text(table):
    """What fusion and T were for a result, and what they do."""
    fusions = {"mean": _("the mean of both networks"), "competition": _("the network that is surer")}
    told = []
    if table.fusion:
        rule = fusions.get(table.fusion, table.fusion)
        told.append(_("Where the networks differ, {rule} chose the label (fusion).").format(rule=rule))
    if table.temperature is not None:
        temperature = f"{table.temperature:g}"
        told.append(_("Where neither is sure, T = {number} sharpened the teacher.").format(number=temperature))
    if told:
        told.append(_("To change them, set them above and segment again."))
    if table.nominal:
        told.append(_("The scan may not state its true voxel size: 1 ml stands for 1,000 voxels here."))
    return " ".join(told)


def places_text(found):
    """What stands above the list of places: how much of all doubt a look at the first of them covers."""
    n_parts = len(found.parts)
    if not n_parts:
        return _("Both networks are sure everywhere at this beta.")
    if n_parts <= FIRST and found.is_all:
        return _("All places, worst first:")
    first = min(FIRST, n_parts)
    percent = round(100 * found.share(first))
    text = _("The {n} worst places, worst first. The first {first} hold {percent} % of the doubt.")
    return text.format(n=n_parts, first=first, percent=percent)
