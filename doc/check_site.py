"""Check the built documentation: links, images, resources, search and layout.

::

    python doc/check_site.py doc/_build/html [--screenshots FOLDER | --no-browser]

Internal links must lead to an existing page and anchor. Images must exist and have an
alternative text. Pages must not load resources from other sites. The search index must
find some words. If Chromium is installed, the script opens every page at the width of a
phone and of a desktop, checks that nothing is wider than the window, and tests the
search page. The exit status is 1 if a check fails.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Width of the window in pixels, by device.
WIDTHS = {"phone": 390, "desktop": 1280}
#: Height of the window in pixels, and number of pages opened at once.
HEIGHT, AT_ONCE = 1600, 60
#: Pages for screenshots.
PICTURED = (
    "index.html",
    "quick_start.html",
    "user_guide/index.html",
    "user_guide/vaenmf.html",
    "auto_examples/index.html",
    "api.html",
    "generated/skvae.VAENMFEnhancer.html",
)
#: Words, and the page that a search for the word must find.
SEARCHED = {
    "musical": "user_guide/classical.html",
    "posterior": "user_guide/vaenmf.html",
    "streaming": "faq.html",
    "latency": "faq.html",
    "stereo": "faq.html",
}
#: Names of the browser in different packages.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Tags and attributes by which a page loads resources.
LOADING = {
    ("script", "src"),
    ("img", "src"),
    ("audio", "src"),
    ("source", "src"),
    ("video", "src"),
    ("iframe", "src"),
}
#: Resources that a style sheet loads from another site.
ELSEWHERE = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")
#: Path of the page that measures the width of other pages. It is not a file.
MEASURING_PATH = "/-/measure.html"
#: Tolerance in pixels for scroll bars and rounding.
TOLERANCE = 1
#: Time limit of the browser in seconds, and virtual time for a search in ms.
TIMEOUT, VIRTUAL_MS = 600, 10_000


class Page(HTMLParser):
    """Links, resources and anchors of a page.

    Parameters
    ----------
    text : str
        HTML of the page.

    Attributes
    ----------
    links : list of str
        Targets of the links.
    loaded : list of str
        Resources of the page.
    places : set of str
        Anchors of the page.
    unnamed : list of str
        Images without an alternative text.
    """

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag."""
        given = {name: value or "" for name, value in attrs}
        for name in ("id", "name"):
            if name in given:
                self.places.add(given[name])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and "stylesheet" in given.get("rel", ""):
            self.loaded.append(given["href"])
        for name in given:
            if (tag, name) in LOADING:
                self.loaded.append(given[name])
        # An empty text is valid: it marks a decorative image.
        if tag == "img" and "alt" not in given:
            self.unnamed.append(given.get("src", "?"))


def check_pages(pages: Mapping[Path, Page], root: Path) -> Iterator[str]:
    """Yield problems with links, images and resources."""
    for path, page in pages.items():
        name = path.relative_to(root)
        for target in page.loaded:
            if target.startswith("data:"):
                continue
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                yield f"{name}: loads {target} from another site"
            elif not _file_of(target, path, root).is_file():
                yield f"{name}: {target} does not exist"
        for source in page.unnamed:
            yield f"{name}: image {source} has no alternative text"
        for target in page.links:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = _file_of(target, path, root)
            if not file.is_file():
                yield f"{name}: {target} is a broken link"
            elif (
                parts.fragment
                and file in pages
                and unquote(parts.fragment) not in pages[file].places
            ):
                yield f"{name}: the anchor of {target} does not exist"


def check_styles(root: Path) -> Iterator[str]:
    """Yield style sheets that load resources from other sites."""
    for path in sorted(root.rglob("*.css")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for target in ELSEWHERE.findall(text):
            yield f"{path.relative_to(root)}: loads {target} from another site"


def check_index(root: Path) -> Iterator[str]:
    """Yield words that the search index does not find on their page."""
    from sphinx.search.en import SearchEnglish

    path = root / "searchindex.js"
    if not path.is_file():
        yield "the search index does not exist"
        return
    text = path.read_text(encoding="utf-8")
    index = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    stem = SearchEnglish({}).stem
    for word, page in SEARCHED.items():
        numbers: list[int] = []
        for part in ("terms", "titleterms"):
            found = index[part].get(stem(word), [])
            numbers += found if isinstance(found, list) else [found]
        if page not in {f"{index['docnames'][number]}.html" for number in numbers}:
            yield f"a search for {word!r} does not find {page}"


def check_in_browser(
    browser: str, pages: Mapping[Path, Page], root: Path, screenshots: Path | None
) -> Iterator[str]:
    """Yield pages wider than the window, and failed searches; take screenshots."""
    names = [path.relative_to(root).as_posix() for path in pages]
    with _served(root, names) as address, tempfile.TemporaryDirectory() as profile:
        run = partial(_run_browser, browser, profile)
        for kind, width in WIDTHS.items():
            for start in range(0, len(names), AT_ONCE):
                stop = start + AT_ONCE
                url = f"{address}{MEASURING_PATH}?{width}&{start}&{stop}"
                yield from _too_wide(run("--dump-dom", url), names[start:stop], kind)
        for word, page in SEARCHED.items():
            clock = f"--virtual-time-budget={VIRTUAL_MS}"
            text = run(clock, "--dump-dom", f"{address}/search.html?q={word}")
            _, _, results = text.partition('id="search-results"')
            if page not in results:
                yield f"the search page does not find {page} for {word!r}"
        if screenshots is None:
            return
        screenshots.mkdir(parents=True, exist_ok=True)
        for name in PICTURED:
            if name not in names:
                continue
            for kind, width in WIDTHS.items():
                picture = screenshots / f"{name.replace('/', '-')}-{kind}.png"
                # The minimum width of a window is 500 pixels; a frame can be narrower.
                size = f"--window-size={max(width, 500)},{HEIGHT}"
                start = names.index(name)
                url = f"{address}{MEASURING_PATH}?{width}&{start}&{start + 1}"
                run(size, f"--screenshot={picture}", url)


def _too_wide(dom: str, names: list[str], kind: str) -> Iterator[str]:
    """Yield the pages that are wider than the window."""
    match = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    measured = html.unescape(match[1]).split() if match else []
    if len(measured) != len(names):
        yield f"the browser failed to open {names[0]} to {names[-1]} ({kind})"
        return
    for name, width in zip(names, map(int, measured), strict=True):
        if width > WIDTHS[kind] + TOLERANCE:
            yield f"{name}: {width} pixels wide on a {kind} of {WIDTHS[kind]}"


#: Page that opens other pages in frames and writes their widths.
MEASURING_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0 }} iframe {{ border: 0; display: block; height: {height}px }}
</style><body><script>
const [width, start, stop] = location.search.slice(1).split("&").map(Number);
for (const name of {names}.slice(start, stop))
  document.write(`<iframe style="width: ${{width}}px" src="/${{name}}"></iframe>`);
onload = () => {{
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = Array.from(document.querySelectorAll("iframe"),
    frame => frame.contentDocument.documentElement.scrollWidth).join(" ");
  document.body.append(result);
}};
</script>
"""


@contextmanager
def _served(root: Path, names: list[str]) -> Iterator[str]:
    """Serve the pages and the measuring page on the local interface."""
    page = MEASURING_PAGE.format(names=json.dumps(names), height=HEIGHT).encode()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(MEASURING_PATH):
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(root))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _run_browser(browser: str, profile: str, *arguments: str) -> str:
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        *arguments,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    return done.stdout


def _file_of(target: str, page: Path, root: Path) -> Path:
    path = unquote(urlsplit(target).path)
    if not path:
        return page
    base = root if path.startswith("/") else page.parent
    file = (base / path.lstrip("/")).resolve()
    return file / "index.html" if path.endswith("/") else file


def main() -> int:
    """Run all checks and print the problems."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of the built pages")
    parser.add_argument(
        "--screenshots", type=Path, metavar="FOLDER", help="folder for screenshots"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="skip the checks that need a browser"
    )
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.html"))
        if "_static" not in path.parts
    }
    if not pages:
        print(f"{root} contains no pages", file=sys.stderr)
        return 1
    problems = [*check_pages(pages, root), *check_styles(root), *check_index(root)]
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if arguments.no_browser:
        print("skipped the checks that need a browser")
    elif browser is None:
        print("skipped the checks that need a browser: Chromium was not found")
    else:
        problems += check_in_browser(browser, pages, root, arguments.screenshots)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(pages)} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
