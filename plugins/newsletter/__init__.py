"""The way from Markdown to the inbox, once and only once.

    content/*.md ──reader: frontmatter, markdown, analysis──► proof ──press──► output/ (site), feed.xml
                                                                │
                                                            briefing ──message──► build/briefings/YYYY-MM/
                                                                                  │  (the seam: a folder)
    subscribers.csv ──subscriber_list, address──► store ──frozen recipients──► delivery ──► ses ──► inboxes
                                                   ▲                                        │
                                                   └── aftermath, settle ◄── SES's events ◄─┤
                                              local_ses (the same HTTP) ──► var/mailbox/*.eml

    many at once: fanout ──batches──► work queue ──► workers, by the same mailing as delivery's

    visitors ──door──► store (a letter is written down) ──postman──► ses ──► one inbox ──its link──► door

    output/ ──publish──► bucket and CloudFront          aws: door, events, postman and worker as Lambda functions

    delivery ──fanout──► an SQS queue ──worker, many of them──► ses          store ──migration──► another store

    the desk:  Word, web pages, text ──manuscript──► content/*.md ──check──► what to mend
               content/*.md ──preview──► the site as it will be          a package ──proof_page──► what its approval is for

A module with a `register()` is a Pelican plugin; the others are not. This file imports nothing:
whatever it imported, every command would pay for.
"""
