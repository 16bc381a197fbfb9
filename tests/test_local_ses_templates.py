"""The local SES renders the core that Handlebars and Mustache share, and refuses the rest by name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.local_ses.template import RenderingError, UnsupportedTemplateError, parse
from tests.local_ses_world import World, entry, world

RENDERED: list[tuple[str, dict[str, Any], str]] = [
    ("plain", {}, "plain"),
    ("{{a}} {{ a }} {{{a}}} {{&a}}", {"a": "<b>&"}, "<b>& <b>& <b>& <b>&"),
    ("{{a.b.c}}", {"a": {"b": {"c": 1}}}, "1"),
    ("{{n}} {{f}} {{g}} {{t}}", {"n": 3, "f": 1.5, "g": 2.0, "t": True}, "3 1.5 2 true"),
    ("{{#on}}x{{/on}}{{^on}}y{{/on}}", {"on": True}, "x"),
    ("{{#on}}x{{/on}}{{^on}}y{{/on}}", {"on": False}, "y"),
    ("{{#on}}x{{/on}}{{^on}}y{{/on}}", {}, "y"),
    ("{{#on}}x{{/on}}{{^on}}y{{/on}}", {"on": ""}, "y"),
    ("{{#on}}x{{/on}}{{^on}}y{{/on}}", {"on": []}, "y"),
    ("{{#name}}Dear {{name}}{{/name}}", {"name": "Ana"}, "Dear Ana"),
    ("{{#items}}{{title}};{{/items}}", {"items": [{"title": "a"}, {"title": "b"}]}, "a;b;"),
    ("{{#items}}{{.}};{{/items}}", {"items": ["a", "b"]}, "a;b;"),
    ("{{#a}}{{#b}}{{c}}{{/b}}{{/a}}", {"a": {"b": {"c": "x"}}}, "x"),
    ("{{#a.b}}x{{/a.b}}", {"a": {"b": True}}, "x"),
    ("a{{! note }}b", {}, "ab"),
    ("a\n{{#on}}\nb\n{{/on}}\nc\n", {"on": True}, "a\nb\nc\n"),
    ("a\r\n  {{#on}}  \r\nb\r\n{{/on}}\r\nc", {"on": True}, "a\r\nb\r\nc"),
    ("{{! alone }}\nb", {}, "b"),
    ("{ {a} } }} {", {}, "{ {a} } }} {"),
]

REFUSED: list[tuple[str, str]] = [
    ("{{#if a}}x{{/if}}", "helper or keyword {{#if}}"),
    ("{{#each a}}x{{/each}}", "helper or keyword {{#each}}"),
    ("{{#unless a}}x{{/unless}}", "unless"),
    ("{{#with a}}x{{/with}}", "with"),
    ("{{#a}}x{{else}}y{{/a}}", "else"),
    ("{{upper name}}", "upper"),
    ("{{this}}", "this"),
    ("{{this.name}}", "this.name"),
    ("{{a.this}}", "a.this"),
    ("{{../name}}", "../name"),
    ("{{@index}}", "data variable"),
    ("{{> footer}}", "partial"),
    ("{{#> layout}}x{{/layout}}", "partial"),
    ("{{=<% %>=}}", "delimiters"),
    ("{{~name~}}", "whitespace control"),
    ("{{* inline}}", "decorator"),
    ("{{{{raw}}}} x {{{{/raw}}}}", "raw block"),
    ("\\{{name}}", "escape"),
    ("{{[a b]}}", "[a"),
    ("{{a/b}}", "a/b"),
    ("{{}}", "{{}}"),
    ("{{#a}}x", "{{#a}} is never closed"),
    ("{{#a}}x{{/b}}", "{{/b}} closes {{#a}}"),
    ("x{{/a}}", "closes nothing"),
    ("{{name", "without }}"),
    ("line one\nline two {{#if x}}{{/if}}", "line 2"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("ses"), max_send_rate=10_000) as one:
        yield one


@pytest.fixture
def own(server: World) -> World:
    return server.fresh()


@pytest.mark.parametrize(("source", "data", "expected"), RENDERED)
def test_renders(source: str, data: dict[str, Any], expected: str) -> None:
    assert parse(source).render(data) == expected


@pytest.mark.parametrize(("source", "words"), REFUSED)
def test_refuses_and_names(source: str, words: str) -> None:
    with pytest.raises(UnsupportedTemplateError) as caught:
        parse(source)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("{{x}}", {}),
        ("{{x}}", {"x": None}),
        ("{{x}}", {"y": {"x": 1}}),
        ("{{#a}}{{x}}{{/a}}", {"a": {"b": 1}, "x": "outer"}),
    ],
)
def test_a_missing_value_fails_in_the_words_of_aws(source: str, data: dict[str, Any]) -> None:
    with pytest.raises(RenderingError, match=r"^Attribute 'x' is not present in the rendering data\.$"):
        parse(source).render(data)


@given(
    st.text(alphabet=st.characters(exclude_characters="{\\")),
    st.text(),
    st.text(alphabet=st.characters(exclude_characters="{")),
)
def test_values_are_put_in_as_they_are(before: str, value: str, after: str) -> None:
    """Whatever stands around it and whatever it holds, even braces: no value is read as a template."""
    assert parse(f"{before}{{{{v}}}}{after}").render({"v": value}) == before + value + after


@given(st.text(alphabet="{}#^/!&.ab \n\\>~", max_size=40))
def test_parsing_anything_renders_or_refuses(source: str) -> None:
    """No template crashes the parser: it is refused, or it renders, or its data does not fit."""
    with contextlib.suppress(UnsupportedTemplateError, RenderingError):
        parse(source).render({"a": "x", "b": [{"a": 1}]})


class TestOverHttp:
    def test_a_missing_value_is_success_then_an_event_and_no_mail(self, own: World) -> None:
        """DG send-personalized-email-api: the call succeeds, only a Rendering Failure event tells."""
        own.template()
        (result,) = own.bulk(
            "a@x.org",
            DefaultContent={"Template": {"TemplateName": "t"}},
            BulkEmailEntries=[entry("a@x.org", name="x")],
        )
        assert result["Status"] == "SUCCESS"
        assert own.files() == []
        (event,) = own.events()
        assert event["eventType"] == "Rendering Failure"
        assert event["failure"] == {
            "errorMessage": "Attribute 'url' is not present in the rendering data.",
            "templateName": "t",
        }
        assert event["mail"]["messageId"] == result["MessageId"]
        assert event["mail"]["tags"] == {"ses:configuration-set": ["newsletter"]}, "AWS's has no custom tags"
        (line,) = own.accepts()
        assert line["outcome"] == "rendering_failure"

    def test_an_entrys_data_goes_over_the_defaults_key_by_key(self, own: World) -> None:
        own.template()
        own.bulk(BulkEmailEntries=[entry("a@x.org", name="Ana"), entry("b@x.org", url="u"), entry("c@x.org")])
        assert [mail["Subject"] for mail in own.mails()] == ["For Ana", "For reader", "For reader"]

    def test_render_is_tried_without_sending(self, own: World) -> None:
        own.template()
        data = json.dumps({"name": "Zoë", "url": "-"})
        mime = own.ses.test_render_email_template(TemplateName="t", TemplateData=data)["RenderedTemplate"]
        assert "Content-Type: multipart/alternative" in mime
        assert "Zo=C3=AB" in mime
        with pytest.raises(own.ses.exceptions.BadRequestException, match="Attribute 'url' is not present"):
            own.ses.test_render_email_template(TemplateName="t", TemplateData='{"name": "x"}')
        assert own.files() == []

    def test_an_inline_template_substitutes(self, own: World) -> None:
        inline = {"Subject": "For {{name}}", "Text": "{{name}}"}
        own.simple(
            "a@x.org", Content={"Template": {"TemplateContent": inline, "TemplateData": '{"name": "Ana"}'}}
        )
        assert own.mails()[0]["Subject"] == "For Ana"

    def test_an_update_replaces_every_part(self, own: World) -> None:
        own.template()
        own.ses.update_email_template(TemplateName="t", TemplateContent={"Subject": "S", "Text": "T"})
        assert own.ses.get_email_template(TemplateName="t")["TemplateContent"] == {
            "Subject": "S",
            "Text": "T",
        }
