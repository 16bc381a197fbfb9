"""The subscriber's door: what strangers can push at, and the only part of the system they can.

    guard ─► app: one handler a page ─► porter ─► desk ─► store
             sign_up · leaving · my_page · contact       (a letter is written down; the postman mails it)
             forms in, pages out

A page is looked at with GET, which changes nothing; only the button on it does, with POST. There are no cookies, no
sessions and no passwords: what a request may do stands in the token that was mailed.
"""
