"""What is in memory before a page has a text: modules, tables of the grammar, ops, rules, compiled patterns."""

import gc
import importlib
import json
import sys
import zipfile

sys.path.insert(0, "/netdsl.zip")

from netdsl import api
from netdsl.ide import page

SPEC = """\
# a net
default conv bias=false

block Basic(c, stride = 1):
    add:
        conv 3x3, c, /stride as conv1 -> bn as bn1 -> relu -> conv 3x3, c as conv2 -> bn as bn2
        shortcut: conv 1x1, c, /stride -> bn when stride != 1 or x.c != c
    relu

net Small(width = 16, classes = 10):
    meta year=2015
    input 3, 32x32
    require params <= 250K
    stem: conv 3x3, width -> bn -> relu
    stage1: 2 * Basic width
    stage2: 2 * Basic 2*width, /2 first
    gap
    head: fc classes

variant small = Small()
"""

for asked in (
    {"what": "analysis"},
    {"what": "table"},
    {"what": "emitted", "backend": "torch"},
    {"what": "emitted", "backend": "flax"},
    {"what": "lint"},
    {"what": "graph"},
    {"what": "report"},
    {"what": "difference", "before": SPEC.replace("16", "8")},
    {"what": "formatted"},
    {"what": "completions", "at": SPEC.index("gap")},
    {"what": "told", "at": SPEC.index("gap")},
):
    if asked["what"] not in ("formatted", "completions", "lint"):
        asked["net"] = "small"
    said = json.loads(page.answer(json.dumps({**asked, "text": SPEC})))
    assert "value" in said, said
page.answer(json.dumps({"what": "analysis", "text": SPEC.replace("conv 1x1", "cnv 1x1")}))
page.forget()
api.packaged.cache_clear()
# a file that is open now is none in the page
importlib.invalidate_caches()
for one in gc.get_objects():
    if isinstance(one, zipfile.ZipFile):
        one.close()
gc.collect()
