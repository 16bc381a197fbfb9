"""The proof of a briefing: one page on which an editor sees all that a subscriber, and SES, will get.

    package ──┬── views (widths, dark, images off, text, inbox) ──┐
    site    ──┼── links (each with what became of it)             ├──► page: HTML, and a summary in Markdown
    store   ──┼── audience (how many, and who is left out why)    │
    check   ──┴── findings ───────────────────────────────────────┘

The preview shows it at /proof/YYYY-MM/, `newsletter proof` writes it into a folder. This file imports nothing.
"""
