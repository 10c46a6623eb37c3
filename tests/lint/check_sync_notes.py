#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Every atomic operation of the library says why its memory order is enough, and synchronizing ones name each other.

    // (2) release-store, pairs with (3): `value` is visible to the consumer of this turn.
    // (4) acquire-load, pairs with (1), (7) of other.hpp: the row was repaired.

Numbers are per file; a partner elsewhere is `(7) of other.hpp` or `other.hpp (7)`. A note stands above its operation's
statement or behind it. Every partner names the note back; acquire pairs with a release and the other way round; the
note names the order that the operation has; each operation has its note and each note its operation. A relaxed order
carries `relaxed:` and a reason in the same place, or shares that of the line above. No operation leaves its order to
the default, and no atomic is written or read as if it were a plain variable.
"""

import dataclasses
import re

import project

NOTE = re.compile(r"\((\d+)\)\s+(acquire|release|acq_rel|seq_cst)-[a-z]+,\s+pairs with\b([^:]*)(:?)\s*(\S?)")
PARTNER = re.compile(r"(?:([\w/]+\.hpp)\s+)?\((\d+)\)(?:\s+of\s+([\w/]+\.hpp))?")
ORDER = re.compile(r"memory_order(?:_|::)(relaxed|consume|acquire|release|acq_rel|seq_cst)\b")
BUILTIN = re.compile(r"\b__(?:atomic|sync)_\w+")
DECLARATION = re.compile(r"\b(?:std::atomic|Atom)\s*<(?:[^<>;]|<(?:[^<>]|<[^<>]*>)*>)*>\s*[&*]?\s*(\w+)"
                         r"|\bstd::atomic_flag\s+(\w+)")
ALWAYS_ATOMIC = "fetch_(?:add|sub|and|or|xor)|compare_exchange_(?:weak|strong)|test_and_set"
OPERATION = re.compile(rf"(\w+)(?:\[[^\]]*\]|\([^()]*\))?\s*(?:\.|->)\s*(load|store|exchange|{ALWAYS_ATOMIC})\s*\(")


@dataclasses.dataclass
class Note:
    line: int
    order: str
    partners: list  # of (file or None, number)


@dataclasses.dataclass
class Statement:
    line: int
    code: str
    comment: str  # of its own lines and of the comment above it
    comment_lines: range


def split_comment(line):
    """(code, comment) of a line; a string that holds // is taken as code."""
    match = re.match(r'((?:[^"/]|"(?:[^"\\]|\\.)*"|/(?!/))*)(//.*)?$', line)
    return (match[1], (match[2] or "").lstrip("/ ")) if match else (line, "")


def statements(lines):
    """The statements of a file, each with the comments that belong to it."""
    code, comment, above = [], [], []
    start = above_start = None
    for number, line in lines:
        own_code, own_comment = split_comment(line)
        if not own_code.strip():
            if code:
                comment.append(own_comment)
            elif own_comment:
                above_start = above_start or number
                above.append(own_comment)
            else:
                above, above_start = [], None
            continue
        start = start or number
        code.append(own_code)
        comment.append(own_comment)
        if re.search(r"[;{}]\s*$|^\s*(public|private|protected|case .*|default)\s*:\s*$", own_code):
            first = above_start or start
            yield Statement(start, " ".join(code), " ".join(above + comment), range(first, number + 1))
            code, comment, above, start, above_start = [], [], [], None, None


def notes_of(lines):
    """{number: Note}, and what is wrong with their form as (line, text)."""
    notes, wrong = {}, []
    text = [(number, split_comment(line)[1]) for number, line in lines]
    for index, (number, comment) in enumerate(text):
        # A note may run on over the next comment lines.
        whole = " ".join([comment] + [more for _, more in text[index + 1:index + 3]])
        match = NOTE.match(whole)
        if not match:
            if re.match(r"\(\d+\)\s+(acquire|release|acq_rel|seq_cst)\b", comment):
                wrong.append((number, "a note that does not read `(N) ORDER-OPERATION, pairs with (M): EFFECT`"))
            continue
        partners = [(before or after or None, int(partner)) for before, partner, after in PARTNER.findall(match[3])]
        if not partners or not match[4] or not match[5]:
            wrong.append((number, f"note ({match[1]}) does not name a partner, a colon, and what becomes visible"))
        if int(match[1]) in notes:
            wrong.append((number, f"note ({match[1]}) is there twice"))
        notes[int(match[1])] = Note(number, match[2], partners)
    return notes, wrong


def may_pair(one, other):
    return one != other or one not in ("acquire", "release")


def pairing(name, notes, by_file):
    files = {}
    for path in by_file:
        files.setdefault(path.rpartition("/")[2], []).append(path)
    for number, note in notes.items():
        for file, partner in note.partners:
            candidates = [name]
            if file is not None:
                candidates = [path for path in files.get(file.rpartition("/")[2], ()) if path.endswith(file)]
            where = f"{name}:{note.line}: ({number}) pairs with ({partner})" + (f" of {file}" if file else "")
            if len(candidates) != 1:
                yield f"{where}, but {'no header has' if not candidates else 'several headers have'} that name"
                continue
            found = by_file[candidates[0]].get(partner)
            if found is None:
                yield f"{where}, which does not exist"
                continue
            names_back = any(back == number and (candidates[0] == name if other is None else name.endswith("/" + other))
                             for other, back in found.partners)
            if not names_back:
                yield f"{where}, which does not name it back"
            elif not may_pair(note.order, found.order):
                yield f"{where}, and both are {note.order}"


def atomics_of(lines):
    """The names under which a file declares atomics."""
    found = [names for _, line in lines for names in DECLARATION.findall(split_comment(line)[0])]
    return {name for names in found for name in names if name}


def operations(name, lines, notes, atomics):
    """What is wrong with the atomic operations themselves."""
    own = atomics_of(lines)
    used = set()
    reason_above = -1  # the last line of the last statement that gave a reason for a relaxed order
    for statement in statements(lines):
        where = f"{name}:{statement.line}:"
        orders = set(ORDER.findall(statement.code))
        if BUILTIN.search(statement.code):
            yield f"{where} a builtin in place of std::atomic or std::atomic_ref"
        if "consume" in orders:
            yield f"{where} memory_order_consume is not to be used"
        if "relaxed" in orders:
            if re.search(r"\brelaxed: \S", statement.comment) or reason_above == statement.line - 1:
                reason_above = statement.comment_lines[-1]
            else:
                yield f"{where} relaxed without `relaxed:` and a reason"
        here = {number: note for number, note in notes.items() if note.line in statement.comment_lines}
        used |= here.keys()
        strong = orders - {"relaxed", "consume"}
        for note in here.values():
            if note.order not in strong and not re.search(r"\border\b", statement.code):
                has = ", ".join(sorted(orders)) or "no order"
                yield f"{name}:{note.line}: the note says {note.order}, and its operation has {has}"
        # The order on failure of a compare-exchange is part of the operation that its note describes.
        if strong and not any(note.order in strong for note in here.values()):
            yield f"{where} {' and '.join(sorted(strong))} without a numbered note"
        for receiver, operation in OPERATION.findall(statement.code):
            is_atomic = receiver in atomics or re.fullmatch(ALWAYS_ATOMIC, operation)
            if is_atomic and not orders and not re.search(r"\border\b", statement.code):
                yield f"{where} {receiver}.{operation} leaves its memory order to the default"
        for atomic in own:
            # A local variable of the same name comes after its type, so it does not begin an expression.
            plain = (rf"(\+\+|--)\s*{atomic}\b(?!\s*[\[.(-])"
                     rf"|(^|[;{{}}(,!&|?])\s*(\w+(\.|->))*{atomic}\s*(\+\+|--|[-+|&^]?=(?!=))")
            if re.search(plain, statement.code) and not DECLARATION.search(statement.code):
                yield f"{where} {atomic} is an atomic, used like a plain variable"
    for number in sorted(notes.keys() - used):
        yield f"{name}:{notes[number].line}: note ({number}) stands at no statement"


def problems(tree):
    lines = {tree.name(path): tree.lines(path) for path in tree.headers()}
    atomics = set().union(*map(atomics_of, lines.values()))
    by_file = {}
    for name, file in lines.items():
        by_file[name], wrong = notes_of(file)
        yield from (f"{name}:{number}: {text}" for number, text in wrong)
    for name, file in lines.items():
        yield from pairing(name, by_file[name], by_file)
        yield from operations(name, file, by_file[name], atomics)


if __name__ == "__main__":
    project.run(problems)
