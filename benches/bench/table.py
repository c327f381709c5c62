"""What is told: rows with a target or without, as a table of text and as Markdown."""

from .inputs import GIB, KIB, MIB

HEAD = ("case", "vhdkit", "peer", "ratio", "target", "ok?", "memory", "read", "written")


def human(count):
    for unit, size in ("GiB", GIB), ("MiB", MIB), ("KiB", KIB):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count % size else f"{count // size} {unit}"
    return f"{count} B"


def span(seconds):
    if seconds >= 100:
        return f"{seconds:.0f} s"
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def times(result):
    return f"{span(result.median)} (min {span(result.least)})"


class Table:
    """Sections of rows: case | vhdkit | peer | ratio | target | ok? | what both cost besides, vhdkit before the peer."""

    def __init__(self):
        self.sections = []

    def section(self, title, words=""):
        self.sections.append((title, " ".join(words.split()), []))

    def add(self, case, ours="", peer="", ratio="", target="", ok="", cost=None):
        more = ["", "", ""]
        if cost:
            known = [one for one in cost if one]
            more = [" / ".join(human(getattr(one, name)) for one in known) for name in ("memory", "read", "written")]
        self.sections[-1][2].append((case, ours, peer, ratio, target, ok, *more))

    def ratio(self, case, ours, peer, target, cost=None, name=""):
        """A time beside another; `target` None is no target."""
        value = ours.median / peer.median
        met = "" if target is None else "yes" if value <= target else "NO"
        self.add(case, times(ours), f"{name}{': ' if name else ''}{times(peer)}", f"{value:.2f} (min {ours.least / peer.least:.2f})",
                 "" if target is None else f"≤ {target}", met, cost)

    def limit(self, case, ours, target, shown=human, peer=None):
        self.add(case, shown(ours), "" if peer is None else shown(peer), "", f"≤ {shown(target)}", "yes" if ours <= target else "NO")

    def seconds(self, case, ours, target, cost=None):
        self.add(case, times(ours), "", "", f"≤ {span(target)}", "yes" if ours.median <= target else "NO", cost)

    def note(self, case, ours, peer="", cost=None):
        self.add(case, ours, peer, cost=cost)

    def missed(self):
        return [row for _, _, rows in self.sections for row in rows if row[5] == "NO"]

    def met(self):
        return sum(row[5] == "yes" for _, _, rows in self.sections for row in rows)

    def text(self, level=3):
        """All sections as Markdown."""
        out = []
        for title, words, rows in self.sections:
            if not rows:
                continue
            # Columns that nothing is said in are left out.
            columns = [column for column in range(len(HEAD)) if column < 2 or any(row[column] for row in rows)]
            lines = [tuple(row[column] for column in columns) for row in (HEAD, *rows)]
            widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
            lines.insert(1, tuple("-" * width for width in widths))
            out += ["", "#" * level + " " + title, ""]
            out += [words, ""] if words else []
            out += ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
        return "\n".join(out).lstrip("\n") + "\n"
