"""Configuration of Sphinx. The build needs no network, and warnings are errors.

sphinx-build -W --keep-going -b html doc doc/_build/html

With ``-D plot_gallery=0`` the examples are shown but not run.
"""

from __future__ import annotations

import os
import re
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

# Pages are built in parallel; examples set the number of their jobs themselves.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Modules whose objects the API reference shows under the name of the module.
PUBLIC_MODULES = (
    "skvae",
    "skvae.datasets",
    "skvae.evaluation",
    "skvae.evaluation.estimator_checks",
    "skvae.masks.base",
    "skvae.metrics",
    "skvae.plot",
    "skvae.recordings",
    "skvae.speech.base",
    "skvae.speech.prior",
    "skvae.storage.recipe_files",
    "skvae.training.distributed",
    "skvae.utils.learned",
    "skvae.utils.parameters",
    "skvae.vaenmf.inference",
    "skvae.vaenmf.noise",
)

project = "skvae"
author = "The skvae developers"
copyright = author
release = skvae.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "architecture_pictures",
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
# Quotation marks in types and code must stay as they are.
smartquotes = False
# All references must resolve, except those to other packages, whose inventories would
# have to be downloaded.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(joblib|librosa|matplotlib|numpy|pandas|scipy|sklearn)\..*")
]

# Equations are numbered by chapter, because chapters refer to each other's equations.
numfig = True
math_eqref_format = "({number})"

# The API reference is generated from the docstrings.
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
    "backreferences_dir": "generated/backreferences",
    "write_computation_times": False,
    "remove_config_comments": True,
    "show_memory": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "skvae documentation"
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
# Only sections with several pages have a sidebar.
html_sidebars = {
    "*": [],
    "api": ["sidebar-collapse.html", "sidebar-nav-bs.html"],
}


def skip_inherited(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Omit methods that scikit-learn defines and documents."""
    function = getattr(obj, "fget", None) or obj
    module = getattr(function, "__module__", None) or ""
    return True if module.split(".")[0] == "sklearn" else None


def find_public_name(
    app: Sphinx,
    env: BuildEnvironment,
    node: addnodes.pending_xref,
    contnode: nodes.Element,
) -> nodes.Element | None:
    """Resolve a reference to the page of the public name.

    Docstrings use the names that their module knows, such as ``Mixer`` or
    ``skvae.datasets.audio.AudioFile``.
    """
    if node.get("refdomain") != "py" or "reftarget" not in node:
        return None
    python = env.domains["py"]
    parts = node["reftarget"].removeprefix("skvae.").split(".")
    for start in range(len(parts)):
        for module in PUBLIC_MODULES:
            name = ".".join([module, *parts[start:]])
            if name in python.objects:
                return python.resolve_xref(
                    env, node["refdoc"], app.builder, "obj", name, node, contnode
                )
    return None


def link_public_names(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Correct the links from the source code to the API reference.

    viewcode assumes that all objects of a module have the same public module.
    """
    if pagename.startswith("_modules/"):
        context["body"] = re.sub(
            r"(generated/([\w.]+)\.html)#(?!\2)[\w.]+", r"\1#\2", context["body"]
        )


def setup(app: Sphinx) -> None:
    """Connect the handlers of this file."""
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("missing-reference", find_public_name)
    app.connect("html-page-context", link_public_names)
