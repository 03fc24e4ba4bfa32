"""How Sphinx builds the pages: offline, every warning an error.

sphinx-build -W --keep-going -b html doc doc/_build/html

With ``-D plot_gallery=0`` the examples are shown without being run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import skvae  # noqa: E402

# Pages are built side by side, and examples say themselves what they use.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Modules beside the package itself that the API reference shows.
PACKAGES = ("datasets", "metrics", "plot", "recordings", "recipes", "summary")

project = "skvae"
author = "The skvae developers"
copyright = author
release = skvae.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "front_picture",
    "mathml",
    "measured",
    "numpydoc",
    "results",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
root_doc = "index"
exclude_patterns = ["_build", "_templates", "auto_examples/**/*.ipynb"]
templates_path = ["_templates"]
default_role = "literal"
# Types and code hold quotation marks that are meant.
smartquotes = False
# Every reference must lead somewhere, but for those to other packages: nothing is
# fetched to know where their pages are.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(joblib|librosa|matplotlib|numpy|pandas|scipy|sklearn)\..*")
]

# Equations are numbered by chapter, for a chapter speaks of another's.
numfig = True
math_eqref_format = "({number})"

# The API reference is made of the docstrings.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"
bibtex_reference_style = "author_year"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skvae",),
    "reference_url": {"skvae": None},
    "backreferences_dir": "generated/backreferences",
    "write_computation_times": False,
    "remove_config_comments": True,
    "show_memory": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "skvae"
html_static_path = ["_static"]
html_css_files = ["skvae.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "skvae"},
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {name: [] for name in ("index", "installation", "papers", "whats_new")}


def skip_inherited(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what scikit-learn's own reference describes."""
    function = getattr(obj, "fget", None) or obj
    module = getattr(function, "__module__", None) or ""
    return True if module.split(".")[0] == "sklearn" else None


def find_public_name(
    app: Sphinx,
    env: BuildEnvironment,
    node: addnodes.pending_xref,
    contnode: nodes.Element,
) -> nodes.Element | None:
    """Resolve a reference by the public name, wherever the reference shows it.

    Docstrings name their neighbours as their module sees them, ``Mixer`` or
    ``skvae.datasets.AudioFile``.
    """
    if node.get("refdomain") != "py" or "reftarget" not in node:
        return None
    python = env.domains["py"]
    name = node["reftarget"].removeprefix("skvae.")
    if name.split(".")[0] in PACKAGES:
        name = name.partition(".")[2]
    for prefix in ("skvae.", *(f"skvae.{package}." for package in PACKAGES)):
        if name and prefix + name in python.objects:
            return python.resolve_xref(
                env, node["refdoc"], app.builder, "obj", prefix + name, node, contnode
            )
    return None


def setup(app: Sphinx) -> None:
    """Connect what the extensions leave to the project."""
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("missing-reference", find_public_name)
