"""The editor's preview: the site as it will be, drafts and embargoed pieces included, at an address of this machine.

    content/*.md ──watch──► desk: read once, then only what changed ──► book: a page is written when it is asked for
                                                                          │
    browser ◄── app: pages, dressed with bar, marks and panel ◄───────────┘
            ◄── "changed" (server-sent events)

Nothing of it reaches output/: what it writes lies in build/preview/. This file imports nothing.
"""
