#!/usr/bin/env python3
"""Draws docs/img/demo.svg from what the demo printed, colours and all.

    pip install rich==14.1.0
    CLICOLOR_FORCE=1 TERM=xterm-256color examples/demo/run.sh >demo.ansi
    docs/img/make.py demo.ansi docs/img/demo.svg

Nothing is written by hand: lines are chosen, and long ones cut with "…".
"""

import re
import sys

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 84

# What is shown: each command of the demo by its beginning, and which of the
# lines it printed.
CHOSEN = [
    ("noren close ", r"✓|^Closed|^  until"),
    ("noren status", r"^demo|since"),
    ("curl -si http://shop", r"^HTTP|^Retry-After|^<!doctype"),
    ("curl -si http://api", r"^HTTP|^{"),
    ("curl -s -H ", r"^<!doctype"),
    ("noren open ", r"Behind the curtain|✓ Open|✓ Health|✓ Prove|^Open:"),
]
ENDING = "And the visitors"

THEME = TerminalTheme(
    (24, 29, 39), (216, 222, 233),
    [(59, 66, 82), (236, 124, 124), (142, 200, 140), (235, 203, 139),
     (129, 161, 193), (180, 142, 173), (130, 196, 210), (229, 233, 240)],
    [(122, 134, 158), (236, 124, 124), (142, 200, 140), (235, 203, 139),
     (129, 161, 193), (180, 142, 173), (130, 196, 210), (255, 255, 255)],
)

# As rich's own, but without a window's buttons and without fonts from elsewhere:
# a picture on a page may load nothing.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}" role="img" aria-label="noren closes a shop and an API, shows what customers and staff get, and opens again">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono CJK JP", monospace; font-size: {char_height}px; line-height: {line_height}px; white-space: pre; }}
{styles}
</style>
<defs>{lines}</defs>
<rect fill="#181d27" width="{width}" height="{height}" rx="10"/>
<g transform="translate(16, 14)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def commands(lines):
    """Yields each command's line with the lines that it printed."""
    command, printed = None, []
    for line in lines:
        plain = Text.from_ansi(line).plain
        heading = "\x1b[1m" in line and line.startswith("\x1b[1m") and not plain.startswith(("demo", " "))
        if plain.startswith("$ ") or heading and not re.match(r"\d\d:", plain):
            if command is not None:
                yield command, printed
            command, printed = line, []
        elif command is not None:
            printed.append(line)
    if command is not None:
        yield command, printed


def cut(line):
    """Cuts a line to the picture's width."""
    text = Text.from_ansi(line)
    text.truncate(COLUMNS, overflow="ellipsis")
    return text


def choose(lines):
    """Returns the lines to show."""
    blocks = list(commands(lines))
    shown = []
    for start, pattern in CHOSEN:
        command, printed = next(b for b in blocks if Text.from_ansi(b[0]).plain.startswith("$ " + start))
        printed = [l for l in printed if re.search(pattern, Text.from_ansi(l).plain)]
        shown += [command, *printed, ""]
    ending = next(i for i, l in enumerate(lines) if ENDING in l)
    return shown + lines[ending:]


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        lines = f.read().rstrip("\n").split("\n")
    console = Console(record=True, width=COLUMNS, file=open("/dev/null", "w", encoding="utf-8"), force_terminal=True, color_system="truecolor", legacy_windows=False)
    for line in choose(lines):
        console.print(cut(line), soft_wrap=False, no_wrap=True)
    svg = console.export_svg(title="", theme=THEME, code_format=SVG, unique_id="noren")
    # rich leaves room for a window's title, which there is none of.
    width, height = (float(n) for n in re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    width, height = round(width + 12), round(height - 22)
    svg = re.sub(r'viewBox="[^"]*"', f'viewBox="0 0 {width} {height}"', svg, count=1)
    svg = re.sub(r'(<rect fill="#181d27") width="\S+" height="\S+"', rf'\1 width="{width}" height="{height}"', svg)
    with open(target, "w", encoding="utf-8") as f:
        f.write(re.sub(r"[ \t]+\n", "\n", svg))


if __name__ == "__main__":
    main()
