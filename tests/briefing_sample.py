"""A month's briefing for the mail's tests: one letter, six analyses, all of it written for this project."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter import publication
from newsletter.models import Briefing, Item, KeyJudgement

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "theme" / "templates" / "email" / "briefing"
PUBLICATION = publication.load(ROOT / "publication.toml")
SITE = PUBLICATION.site_url
LONDON = ZoneInfo("Europe/London")

BRACKETS = {
    "almost no chance": "1–5 %",
    "very unlikely": "5–20 %",
    "unlikely": "20–45 %",
    "roughly even chance": "45–55 %",
    "likely": "55–80 %",
    "very likely": "80–95 %",
    "almost certain": "95–99 %",
}


def judgement(text: str, likelihood: str = "", confidence: str = "", horizon: str = "") -> KeyJudgement:
    return KeyJudgement(
        text, likelihood, confidence, horizon, BRACKETS.get(likelihood, "").replace(" ", "\u00a0")
    )


LETTER = f"""
<p>October closed with three governments waiting for one election. Baghdad, Riyadh and Tehran have each put
off decisions that they would rather take once they know who governs in Washington, and each has paid a price
for the wait: Iraq in salaries, Saudi Arabia in its budget, Iran in the rial.</p>
<p>Our lead piece this month is about <a href="{SITE}/analyses/embassy-threat/">the threat to close the US
embassy in Baghdad</a>. We think it will not be carried out. We also think that the threat has already done
most of the damage that a closure would do, and that this is what investors should be watching.</p>
<h2>What we got wrong</h2>
<p>In August we gave Lebanon’s next cabinet until the end of September to form. It did not, and
<em>we were too sure</em>: we read French pressure as a deadline when it was only an offer.<sup
class="footnote-ref"><a href="#fn-1" id="fnref-1">1</a></sup> The judgement has been marked as missed in
<a href="{SITE}/pages/how-we-judge/">our record</a>.</p>
<p>Two dates for the diary:</p>
<ul>
<li><strong>3 November</strong>: the US votes. We do not expect a clear result on the night.</li>
<li><strong>30 November</strong>: OPEC meets, with the January increase still on the table.</li>
</ul>
<blockquote><p>Nobody here expects the Americans to go. Everybody plans as if they might.</p></blockquote>
<p>Answers to this letter reach the desk that wrote it, and we read them.</p>
<section class="footnotes">
<ol>
<li id="fn-1"><p>The forecast was “likely (55–80 %)”, made with moderate confidence. <a href="#fnref-1"
class="footnote-backref" aria-label="Back to reference 1">↩</a></p></li>
</ol>
</section>
"""

ITEMS = (
    Item(
        "The threat to close the embassy is working, and that is the problem",
        f"{SITE}/analyses/embassy-threat/",
        "Iraq",
        datetime(2020, 10, 16, 9, 0, tzinfo=LONDON),
        "Washington is unlikely to leave Baghdad. But by saying that it may, it has made a withdrawal the "
        "prize for every armed group that wants one.",
        (
            judgement(
                "The US closes its embassy in Baghdad or moves its ambassador to Erbil.",
                "unlikely",
                "moderate",
                "31 March 2021",
            ),
            judgement(
                "The ceasefire declared by armed groups on 10 October breaks down in Baghdad.",
                "likely",
                "moderate",
                "31 December 2020",
            ),
            judgement(
                "Prime Minister Kadhimi orders a large operation against Kataib Hizbullah.",
                "very unlikely",
                "high",
                "31 March 2021",
            ),
            judgement(
                "At least two other Western missions reduce their staff in the International Zone.",
                "roughly even chance",
                "low",
                "31 January 2021",
            ),
        ),
    ),
    Item(
        "Iraq will pay its salaries late, and then borrow to pay them again",
        f"{SITE}/analyses/iraq-salaries/",
        "Iraq",
        datetime(2020, 10, 9, 9, 0, tzinfo=LONDON),
        "The white paper on reform is sound and nobody will carry it out before an election. Until then the "
        "central bank pays, and the dinar’s peg is what gives.",
        (
            judgement(
                "Parliament passes a law that lets the government borrow.",
                "very likely",
                "high",
                "30 November 2020",
            ),
            judgement(
                "October’s public salaries are paid more than two weeks late.",
                "almost certain",
                "high",
                "30 November 2020",
            ),
            judgement(
                "The dinar’s official rate is lowered by a tenth or more.",
                "likely",
                "moderate",
                "31 March 2021",
            ),
            judgement(
                "Early elections are held on 6 June 2021 as announced.",
                "very unlikely",
                "moderate",
                "6 June 2021",
            ),
        ),
    ),
    Item(
        "After the Abraham Accords: Riyadh waits, and lets others go first",
        f"{SITE}/analyses/riyadh-waits/",
        "Gulf",
        datetime(2020, 10, 13, 9, 0, tzinfo=LONDON),
        "Saudi Arabia gains more from normalisation that it permits than from one that it signs. Sudan comes "
        "before it, and Oman may.",
        (
            judgement(
                "Saudi Arabia and Israel announce diplomatic relations.",
                "very unlikely",
                "high",
                "31 March 2021",
            ),
            judgement(
                "Sudan and Israel announce that they will open relations.",
                "likely",
                "moderate",
                "31 December 2020",
            ),
            judgement(
                "The boycott of Qatar is lifted in part or whole.",
                "roughly even chance",
                "moderate",
                "31 March 2021",
            ),
            judgement("Saudi airspace stays open to flights between Israel and the Emirates."),
        ),
    ),
    Item(
        "Kuwait’s new emir inherits a parliament he cannot pay",
        f"{SITE}/analyses/kuwait-debt-law/",
        "Gulf",
        datetime(2020, 10, 6, 9, 0, tzinfo=LONDON),
        "The succession was smooth because it was short. The debt law is neither, and liquid reserves last "
        "for months rather than years.",
        (
            judgement(
                "A new debt law passes before the elections.", "almost no chance", "high", "5 December 2020"
            ),
            judgement(
                "The elections return an assembly less willing to compromise.",
                "likely",
                "moderate",
                "5 December 2020",
            ),
            judgement(
                "Kuwait’s rating is lowered by at least one agency.", "likely", "moderate", "31 March 2021"
            ),
            judgement(
                "The state misses a month of public salaries.", "very unlikely", "high", "31 March 2021"
            ),
        ),
    ),
    Item(
        "Hariri returns to a job that nobody else would take",
        f"{SITE}/analyses/hariri-returns/",
        "Levant",
        datetime(2020, 10, 22, 9, 0, tzinfo=LONDON),
        "A fourth cabinet under Saad Hariri would be a government of specialists in name. The talks with the "
        "IMF need more than a name.",
        (
            judgement("Lebanon has a new cabinet.", "unlikely", "moderate", "31 December 2020"),
            judgement(
                "Subsidies on fuel, wheat and medicine are cut back.",
                "very likely",
                "moderate",
                "31 March 2021",
            ),
            judgement(
                "An agreement with the IMF at staff level is announced.",
                "very unlikely",
                "high",
                "31 March 2021",
            ),
            judgement(
                "The maritime talks with Israel agree on a line.", "very unlikely", "moderate", "30 June 2021"
            ),
        ),
    ),
    Item(
        "Idlib: a quiet front with two armies too many",
        f"{SITE}/analyses/idlib-quiet-front/",
        "Levant",
        datetime(2020, 10, 27, 9, 0, tzinfo=LONDON),
        "Turkey is giving up its encircled posts to keep the road it needs. Russia reads that as a price "
        "list.",
        (
            judgement(
                "Turkey leaves at least two more posts behind government lines.",
                "very likely",
                "moderate",
                "31 December 2020",
            ),
            judgement(
                "Government forces open a general offensive south of the M4.",
                "unlikely",
                "moderate",
                "31 January 2021",
            ),
            judgement(
                "Russian and Turkish patrols on the M4 are taken up again.",
                "unlikely",
                "low",
                "31 January 2021",
            ),
            judgement("More than 200,000 people are displaced anew.", "unlikely", "low", "31 March 2021"),
        ),
    ),
)

BRIEFING = Briefing(
    month="2020-10",
    title="Monthly Briefing, October 2020",
    subject="Three governments wait for one election",
    preheader="Why the threat to leave Baghdad does its damage without being carried out.",
    letter_html=LETTER,
    url=f"{SITE}/briefings/2020-10/",
    items=ITEMS,
    source="content/briefings/2020-10.md",
)
