"""What is printed for the person at the screen: sentences and tables of at most 100 columns."""

import textwrap

WIDTH = 100


def show(text, indent=""):
    """Print a sentence, behind an empty line if it begins with a line end; further lines begin with `indent`.

    What has no blank in it, such as a path, stays in one piece.
    """
    print(end="\n" * text.startswith("\n"))
    options = {"subsequent_indent": indent, "break_long_words": False, "break_on_hyphens": False}
    print(textwrap.fill(text.lstrip("\n"), WIDTH, **options))


def show_table(table, **options):
    """Print a DataFrame; the columns for which a line is too short come below, long names of rows lose their middle.

    Options go to `DataFrame.to_string`.
    """
    table = table.rename(index=lambda name: shortened(name) if isinstance(name, str) else name)
    print("\n".join(line.rstrip() for line in table.to_string(line_width=WIDTH, **options).splitlines()))


def shortened(name, length=32) -> str:
    """A long name of somebody's run or concept, its middle left out."""
    return name if len(name) <= length else f"{name[: length // 2]}…{name[len(name) - (length - length // 2 - 1) :]}"
