"""Formulas as MathML, which browsers render without scripts or network access.

Docutils converts LaTeX to MathML. Commands that it does not support are errors.
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
#: Accents that Docutils mistakes for limits above an operator if an index follows.
_ACCENTS = frozenset("ˆ~ˉ")
#: Invisible operator between a function and an argument without brackets.
_APPLICATION = "\u2061"


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write an inline formula."""
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a displayed formula, and its number if it has one."""
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
    except (AttributeError, MathError) as error:  # AttributeError for "\\big("
        logger.warning("formula %r: %s", code, error, location=node)
        return ""
    # The only entity that XML does not define.
    formula = ElementTree.fromstring(text.replace("&ApplyFunction;", _APPLICATION))
    for element in list(formula.iter()):
        _mend(element)
    ElementTree.register_namespace("", _NAMESPACE)
    return ElementTree.tostring(formula, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    """Correct an element that Docutils lays out differently from TeX."""
    name = element.tag.partition("}")[2]
    if name == "mo" and element.text == "|":
        # A magnitude or a condition, without space around it as for an operator.
        element.attrib.update(stretchy="false", lspace="0", rspace="0")
    elif name == "mtable" and element.get("class") == "ams-align":
        # Lines of a displayed formula, in full size.
        element.set("displaystyle", "true")
    elif name == "mo" and element.text == _APPLICATION:
        element.attrib.update(lspace="0", rspace="0.17em")
    elif name == "munderover" and element[2].text in _ACCENTS:
        letter, index, accent = element
        accented = ElementTree.Element(f"{{{_NAMESPACE}}}mover", accent="true")
        accented.extend([letter, accent])
        element.tag = f"{{{_NAMESPACE}}}msub"
        element[:] = [accented, index]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer "mathml"."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
