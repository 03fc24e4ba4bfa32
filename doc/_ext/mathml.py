"""Formulas as MathML, which browsers draw by themselves: no script, no network.

Docutils turns LaTeX into MathML; what it does not know is an error, as in LaTeX.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import MathError, tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
#: Accents that Docutils, where an index follows, takes for limits above an operator.
_ACCENTS = frozenset("ˆ~ˉ")
#: Between a function and an argument without brackets; invisible.
_APPLICATION = "\u2061"


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula of its own, and its number if it has one."""
    body = translator.body
    body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    body.append(_mathml(node, as_block=True))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        body.append("</span>")
    body.append("</div>\n")
    raise nodes.SkipNode


def _mathml(node: nodes.Element, as_block: bool) -> str:
    code = node.astext().strip()
    if as_block and r"\\" in code and r"\begin" not in code:
        code = rf"\begin{{aligned}}{code}\end{{aligned}}"
    try:
        text = str(tex2mathml(code, as_block=as_block))
    except (AttributeError, MathError) as error:  # the former for a "\\big(", say
        logger.warning("formula %r: %s", code, error, location=node)
        return ""
    # The one entity that XML does not know.
    formula = ElementTree.fromstring(text.replace("&ApplyFunction;", _APPLICATION))
    for element in list(formula.iter()):
        _mend(element)
    ElementTree.register_namespace("", _NAMESPACE)
    return ElementTree.tostring(formula, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    """Set right what Docutils writes otherwise than TeX would."""
    name = element.tag.partition("}")[2]
    if name == "mo" and element.text == "|":
        # A magnitude or a condition: no operator with space around it.
        element.attrib.update(stretchy="false", lspace="0", rspace="0")
    elif name == "mo" and element.text == _APPLICATION:
        element.attrib.update(lspace="0", rspace="0.17em")
    elif name == "munderover" and element[2].text in _ACCENTS:
        letter, index, accent = element
        accented = ElementTree.Element(f"{{{_NAMESPACE}}}mover", accent="true")
        accented.extend([letter, accent])
        element.tag = f"{{{_NAMESPACE}}}msub"
        element[:] = [accented, index]


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer Sphinx a renderer of the name "mathml"."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
