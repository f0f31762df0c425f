"""The page of a check: one HTML file with its style, nothing loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path
from string import Template

from alhvr.checking.findings import Severity
from alhvr.checking.html_report.sections import (
    archive_section,
    findings_section,
    folders,
    forecast,
    intensities,
    labelled_section,
    structures,
    verdict,
)
from alhvr.checking.html_report.view import PICTURES, View, text
from alhvr.checking.result import CheckResult
from alhvr.core.files import write_text

STYLE = """
:root{color-scheme:light dark;--ink:#1b2530;--soft:#566472;--line:#d5dde4;--paper:#fff;--wash:#f3f6f8;--link:#005a9c;
--fault:#b23a00;--warning:#7a5c00;--note:#005a9c;--curve:#c25100;--band:#56b4e9}
@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#a3b1be;--line:#36424e;--paper:#18212a;--wash:#10161c;
--link:#7cc4ff;--fault:#ff9d6e;--warning:#f0c64d;--note:#7cc4ff;--curve:#ff9d4d;--band:#2f7fb0}}
*{box-sizing:border-box}
body{margin:0;background:var(--wash);color:var(--ink);font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:1.6rem 1.3rem 4rem}
h1{font-size:1.8rem;line-height:1.2;margin:.2rem 0 1rem}
h2{font-size:1.25rem;margin:2.4rem 0 .6rem}
h3{font-size:1rem;line-height:1.4;margin:0 0 .35rem;overflow-wrap:anywhere}
p{margin:.3rem 0} a{color:var(--link)} .soft,small,caption{color:var(--soft)}
section,.verdict,.finding,.case,.card{background:var(--paper);border:1px solid var(--line);border-radius:8px;
padding:.9rem 1.1rem}
.verdict{font-size:1.2rem;font-weight:600;border-left:8px solid var(--note)}
.verdict.fault{border-left-color:var(--fault)}
.finding{border-left:8px solid var(--note);margin:.6rem 0;scroll-margin-top:1rem}
.finding.fault{border-left-color:var(--fault)}
.finding.warning{border-left-style:double;border-left-color:var(--warning)}
.badge{font-size:.78rem;letter-spacing:.02em;text-transform:uppercase;margin-right:.5em;white-space:nowrap}
.fault .badge{color:var(--fault)} .warning .badge{color:var(--warning)} .note .badge{color:var(--note)}
.seen{margin:0 0 .3rem} .remedy{margin:.2rem 0 .5rem} .problem{color:var(--fault);overflow-wrap:anywhere}
.ref{font-size:.85rem;white-space:nowrap;text-decoration:none;border:1px solid var(--line);border-radius:9px;
padding:0 .45em}
.strip{display:flex;flex-wrap:wrap;gap:.6rem;margin:.5rem 0}
figure{margin:0;width:124px} figcaption{font-size:.78rem;color:var(--soft);overflow-wrap:anywhere}
.thumb{display:block;width:100%;height:auto;max-height:180px;background:#000;border-radius:3px}
.thumb .line,.thumb .under{fill:none;stroke-width:.9} .thumb .under{stroke:#000;stroke-width:1.7;opacity:.55}
.swatch{width:1.6em;height:.8em;vertical-align:-.05em} .swatch path{stroke-width:4;fill:none}
.rows{display:grid;gap:.6rem}
.case{display:grid;grid-template-columns:150px 1fr 220px;gap:.3rem 1.1rem;break-inside:avoid}
.case h3,.case .problem{grid-column:1/-1} .case .thumb+.thumb,.card .thumb+.thumb{margin-top:.4rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:.6rem;margin-bottom:1rem}
.card{padding:.7rem .8rem;font-size:.86rem;break-inside:avoid}
ul{margin:.3rem 0;padding-left:1.1rem} li{margin:.1rem 0}
dl{margin:.3rem 0 0;display:grid;gap:.6rem 1.4rem;grid-template-columns:repeat(auto-fit,minmax(240px,1fr))}
dt{font-weight:600} dd{margin:0;color:var(--soft);overflow-wrap:anywhere} dd b{color:var(--ink)}
.histogram{width:100%;height:auto;display:block;max-width:240px} .histogram path{fill:var(--band)}
.chart{width:100%;height:auto;display:block;margin:.6rem 0} svg text{fill:var(--soft);font-size:11px}
.histogram text{font-size:7px} .chart text{font-size:8px}
.curve{fill:none;stroke:var(--curve);stroke-width:1.2;stroke-opacity:.8} .band{fill:var(--band);fill-opacity:.55}
.axis{stroke:var(--line);fill:none} .dots{width:200px;height:14px} .dots circle{fill:var(--band);fill-opacity:.8;
stroke:var(--ink);stroke-width:.6}
.key{display:inline-block;width:1.2em;height:.3em;border-radius:2px;margin-right:.4em;vertical-align:.2em}
.key.curve{background:var(--curve)} .key.band{background:var(--band);height:.9em;vertical-align:-.1em}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
tbody th{font-weight:500;overflow-wrap:anywhere} thead th{font-size:.86rem;color:var(--soft)}
code{font-family:"DejaVu Sans Mono",ui-monospace,monospace;font-size:.84em;overflow-wrap:anywhere}
summary{cursor:pointer;color:var(--link)}
:target{outline:3px solid var(--link)}
footer{margin-top:2.5rem;color:var(--soft);font-size:.9rem}
@media (max-width:760px){.case{grid-template-columns:1fr}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--wash:#fff;--link:#000;
--fault:#b23a00;--warning:#7a5c00;--note:#005a9c;--curve:#c25100;--band:#56b4e9;font-size:11px}
body{font-size:1rem} main{padding:0;max-width:none} .finding,section{break-inside:avoid-page}
.thumb,.histogram path,.band{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
"""Colours keep apart for any colour vision, and nothing is said by colour alone."""


def write_html(path: Path, result: CheckResult) -> Path:
    """Writes the page to ``path``, whole or not at all; it needs no script, no network and no other file."""
    write_text(path, to_html(result))
    return path


def to_html(result: CheckResult) -> str:
    """The page; every name in it is escaped."""
    view = View(result)
    known = f"Known from a check before: {result.n_cached:,} of {len(result.facts):,} cases."
    return Template(_PAGE).substitute(
        style=STYLE,
        state="fault" if result.count(Severity.FAULT) else "",
        verdict=text(verdict(result)),
        folders=folders(view),
        findings=findings_section(view),
        structures=structures(view),
        intensities=intensities(view),
        forecast=forecast(result),
        labelled=_titled("Labelled cases", labelled_section(view, "labeled")),
        validation=_titled("Validation cases", labelled_section(view, "validation")),
        archive=_archive(view),
        pictures=_pictures_left_out(view),
        known=known if result.n_cached else "",
    )


def _titled(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}" if content else ""


def _archive(view: View) -> str:
    """The archive under a heading that tells what its order means."""
    how = ("The furthest from the labelled scans first: 0 is within them, 1 at the edge of what is alike, more is off."
           if view.result.unlike else "By name.")
    return _titled("Archive", f"<p class=soft>{how}</p>{archive_section(view)}" if view.archive else "")


def _pictures_left_out(view: View) -> str:
    left_out = view.n_pictures - len(view.pictured)
    if left_out <= 0:
        return ""
    return f"<p class=soft>A page holds {PICTURES} pictures at most: {left_out:,} scans are shown without one.</p>"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>ALHVR: check of the data</title><style>$style</style></head><body><main>
<h1>Check of the data</h1>
<div class="verdict $state">$verdict</div>
<section style="margin-top:.8rem">$folders$pictures</section>
<h2>What was found, worst first</h2>
$findings
$structures
$intensities
$forecast
$labelled
$validation
$archive
<footer>$known ALHVR is research software and not a medical device.</footer>
</main></body></html>
"""
