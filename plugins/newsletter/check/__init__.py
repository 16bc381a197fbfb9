"""`newsletter check`: what an editor at the next desk would say of a piece before it goes out.

    file ──document──► Document ──rules──► Reading ─┐
             (one parse, every word at its place)       ├──conclude──► findings ──report──► terminal, GitHub, JSON
    the others' Readings (addresses, links, …) ─────┘      │
                                                               └──► fixing (what is certain is written back)

A rule is a pure function, and `rule.py` knows them all by their codes. Rules of one document see that document and
the `House` (yardstick, regions and topics, abbreviations); rules of all documents see what each has told of itself.
So one changed file is examined in a millisecond, and what was found in the others is kept (`cache.py`). Only
`desk.py` reads files, the clock and git. This file imports nothing, as the package's own does not.
"""
