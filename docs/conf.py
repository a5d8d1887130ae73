"""How Sphinx builds the documentation site from the pages that tests/site_pages.py writes: `make site`."""

from __future__ import annotations

import sys
from pathlib import Path

import netdsl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

project = "netdsl"
version = release = netdsl.__version__
extensions = ["myst_parser", "netdsl_site"]
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block"]  # so that a block of code can say that it is not searched

pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"
smartquotes = False  # formulas have primes

html_theme = "furo"
html_title = f"netdsl {release}"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/playground.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_copy_source = False
html_show_copyright = False
html_use_index = False
# `make playground` builds it; -D netdsl_playground=FOLDER takes it from elsewhere
netdsl_playground = str(ROOT / "playground" / "dist")
