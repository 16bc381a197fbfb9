"""The way from Markdown to the inbox, once and only once.

    content/*.md ──frontmatter, markdown──► Article + Analysis ──► output/ (site), feed.xml
                                                │
                                            briefing ──message, mjml_lint──► build/briefings/YYYY-MM/
                                                                                  │  (the seam: a folder)
    subscribers.csv ──address──► store ──recipients──► frozen list ──delivery──► ses ──► inboxes
                                                                                  │
                                                  local_ses (the same HTTP) ──► var/mailbox/*.eml

A module with a `register()` is a Pelican plugin; the others are not. This file imports nothing:
whatever it imported, every command would pay for.
"""
