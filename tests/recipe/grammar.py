"""Parses files by the grammar of a language (powershell, bicep) and prints what is no part of it, one line a fault."""

import importlib
import sys

import tree_sitter


def faults(node):
    if node.type == "ERROR" or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from faults(child)


language, *paths = sys.argv[1:]
module = importlib.import_module(f"tree_sitter_{language}")
parser = tree_sitter.Parser(tree_sitter.Language(module.language()))
for path in paths:
    text = open(path, "rb").read()
    for node in faults(parser.parse(text).root_node):
        line = node.start_point[0]
        print(f"{path}:{line + 1}: {node.type}: {text.splitlines()[line].decode(errors='replace')}")
