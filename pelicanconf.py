"""How Pelican builds the site. The facts of the publication stand in publication.toml, not here."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent / "plugins"))

from newsletter import publication

PUBLICATION = publication.load(Path(__file__).parent / publication.FILE)

# -- Who and where
SITENAME = PUBLICATION.name
SITESUBTITLE = PUBLICATION.description
SITEURL = PUBLICATION.site_url
TIMEZONE = PUBLICATION.time_zone
DEFAULT_LANG = PUBLICATION.language.partition("-")[0]
# Links within the site begin here, so that a built site can be looked at under any address.
SITE_ROOT = urlsplit(SITEURL).path.rstrip("/")
LOCALE = ["C.UTF-8", "C"]
DEFAULT_DATE_FORMAT = "%-d %B %Y"

# -- The line: what runs, in order
PLUGIN_PATHS = ["plugins"]
PLUGINS = [
    "newsletter.reader",
    "newsletter.withheld",  # before anything is made of pictures
    "newsletter.related",
    "newsletter.mentions",
    "newsletter.feed",
    "newsletter.signposts",
    "newsletter.forecasts",
    "newsletter.search",
    "newsletter.briefing",
    "newsletter.editions",
    "newsletter.pictures",
    "newsletter.history",
    "newsletter.margins",
    "newsletter.machines",
    "newsletter.places",
    "newsletter.doorframe",
    "newsletter.stylesheet",
    "newsletter.press",
]
PLUGINS_REQUIRED = list(PLUGINS)

# -- What is read
PATH = "content"
ARTICLE_PATHS = ["analyses"]
PAGE_PATHS = ["pages"]
STATIC_PATHS = ["images", "files"]
BRIEFING_PATHS = ["briefings"]
DEFAULT_CATEGORY = "World"
USE_FOLDER_AS_CATEGORY = False  # the folder is the year
FILENAME_METADATA = ""
SLUGIFY_SOURCE = "title"
WITH_FUTURE_DATES = False
ARTICLE_ORDER_BY = "reversed-date"
# Nobody translates yet, and looking for translations takes time that grows with the square of the pieces.
ARTICLE_TRANSLATION_ID = None
PAGE_TRANSLATION_ID = None

# -- What is written
OUTPUT_PATH = "output"
DELETE_OUTPUT_DIRECTORY = True
THEME = "theme"
THEME_STATIC_DIR = "theme"
EMAIL_TEMPLATES = "theme/templates/email"
BRIEFING_PACKAGES = "build/briefings"
DOOR_FRAME = "build/door/frame.html"

ARTICLE_URL = "analyses/{date:%Y}/{slug}/"
ARTICLE_SAVE_AS = "analyses/{date:%Y}/{slug}/index.html"
CATEGORY_URL = "regions/{slug}/"
CATEGORY_SAVE_AS = "regions/{slug}/index.html"
TAG_URL = "topics/{slug}/"
TAG_SAVE_AS = "topics/{slug}/index.html"
AUTHOR_URL = "desks/{slug}/"
AUTHOR_SAVE_AS = "desks/{slug}/index.html"
CATEGORIES_URL = "regions/"
CATEGORIES_SAVE_AS = "regions/index.html"
TAGS_URL = "topics/"
TAGS_SAVE_AS = "topics/index.html"
AUTHORS_URL = "desks/"
AUTHORS_SAVE_AS = "desks/index.html"
PAGE_URL = "{slug}/"
PAGE_SAVE_AS = "{slug}/index.html"
BRIEFING_URL = "briefings/{month}/"
BRIEFING_SAVE_AS = "briefings/{month}/index.html"
ARCHIVES_URL = "analyses/"
ARCHIVES_SAVE_AS = "analyses/index.html"
YEAR_ARCHIVE_URL = "analyses/{date:%Y}/"
YEAR_ARCHIVE_SAVE_AS = "analyses/{date:%Y}/index.html"
# A draft is for the desk's eyes: it never enters the folder that is published.
DRAFT_URL = ""
DRAFT_SAVE_AS = ""
DRAFT_PAGE_URL = ""
DRAFT_PAGE_SAVE_AS = ""

DIRECT_TEMPLATES = [
    "index", "archives", "categories", "tags", "authors", "briefings", "forecasts", "glossary", "search", "404",
]  # fmt: skip
SEARCH_URL = "search/"
SEARCH_SAVE_AS = "search/index.html"
NEWSLETTER_SEARCH = True
# Where set PDF editions are kept from one build to the next; "" for none.
NEWSLETTER_EDITIONS = "build/editions"
NEWSLETTER_PICTURES_STOCK = "build/pictures"
# A page of each piece's earlier versions, from git.
NEWSLETTER_HISTORY = True
# The same for the pictures that other sites show beside a link.
NEWSLETTER_CARDS = "build/cards"
FORECASTS_URL = "forecasts/"
FORECASTS_SAVE_AS = "forecasts/index.html"
GLOSSARY_URL = "glossary/"
GLOSSARY_SAVE_AS = "glossary/index.html"
BRIEFINGS_URL = "briefings/"
BRIEFINGS_SAVE_AS = "briefings/index.html"
PAGINATED_TEMPLATES = {"index": None, "category": None, "tag": None, "author": None}
DEFAULT_PAGINATION = 50
PAGINATION_PATTERNS = [
    (1, "{url}", "{save_as}"),
    (2, "{base_name}/page/{number}/", "{base_name}/page/{number}/index.html"),
]

# -- Feeds: ours (plugins/newsletter/feed.py) instead of Pelican's
FEED_DOMAIN = SITEURL
FEED_ALL_ATOM = None
CATEGORY_FEED_ATOM = None
AUTHOR_FEED_ATOM = None
AUTHOR_FEED_RSS = None
TRANSLATION_FEED_ATOM = None
NEWSLETTER_FEED = "feed.xml"
