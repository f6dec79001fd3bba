from pathlib import Path

import pytest

from portal.backends.manual import Manual, packaged_manual, slug
from portal.errors import NotFound

PAGE = """What stands before the first heading is left out.
<!-- for nobody -->
# Pets

<!-- guide: 0.5 -->
All about pets. See [below](#feed-the-cat), [the garden](Garden.md) and [a site](https://example.com/x.md).

## Feed the cat

<!-- asked: give it food; is it hungry -->

```
# not a heading
[kept](data.md)
```
### C++ & `cats`!
Text.
<!-- guide: 1 -->
## Empty
"""


@pytest.fixture
def manual(tmp_path: Path) -> Manual:
    (tmp_path / "PETS.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "garden.md").write_text("No heading here.\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("# Not a page\n", encoding="utf-8")
    return Manual(tmp_path)


def test_pages_are_the_markdown_files_by_their_names_in_lower_case(manual: Manual) -> None:
    assert [(page.id, page.title) for page in manual.pages()] == [("garden", "garden"), ("pets", "Pets")]
    with pytest.raises(NotFound):
        manual.page("notes")


def test_a_page_is_cut_at_its_headings_outside_code(manual: Manual) -> None:
    sections = manual.page("pets").sections

    assert [(each.id, each.title, each.level) for each in sections] == [
        ("pets", "Pets", 1),
        ("feed-the-cat", "Feed the cat", 2),
        ("c-cats", "C++ & `cats`!", 3),
        ("empty", "Empty", 2),
    ]
    assert sections[1].url == "/manual/pets#feed-the-cat"
    assert "# not a heading" in sections[1].text


def test_sections_without_text_are_headings_only(manual: Manual) -> None:
    assert [each.id for each in manual.sections()] == ["pets", "feed-the-cat", "c-cats"]


def test_links_between_pages_lead_to_where_portal_serves_them(manual: Manual) -> None:
    markdown = manual.page("pets").markdown

    assert "[below](/manual/pets#feed-the-cat)" in markdown
    assert "[the garden](/manual/garden)" in markdown
    assert "[a site](https://example.com/x.md)" in markdown


def test_a_comment_says_how_readily_what_follows_is_quoted_and_is_not_shown(manual: Manual) -> None:
    page = manual.page("pets")

    assert [each.prominence for each in page.sections] == [0.5, 0.5, 0.5, 1.0]
    assert "<!--" not in page.markdown


def test_a_comment_says_in_which_other_words_people_ask_for_a_section_and_is_not_shown(manual: Manual) -> None:
    asked = {each.id: each.asked for each in manual.page("pets").sections}

    assert asked == {"pets": (), "feed-the-cat": ("give it food", "is it hungry"), "c-cats": (), "empty": ()}
    assert "hungry" not in manual.page("pets").markdown + manual.page("pets").sections[1].text


def test_the_manual_of_this_installation_is_whole() -> None:
    manual = packaged_manual()
    ids = [(section.page, section.id) for page in manual.pages() for section in page.sections]

    assert len(set(ids)) == len(ids)
    assert {"getting-started", "api", "configuration", "guide"} <= {page.id for page in manual.pages()}
    assert all(page.sections[0].level == 1 for page in manual.pages())


def test_every_link_inside_the_manual_leads_somewhere() -> None:
    import re

    manual = packaged_manual()
    there = {section.url for page in manual.pages() for section in page.sections}
    there |= {f"/manual/{page.id}" for page in manual.pages()}
    linked = {url for page in manual.pages() for url in re.findall(r"\]\((/manual/[^)]+)\)", page.markdown)}

    assert linked
    assert linked - there == set()


def test_slugs_keep_letters_and_digits_only() -> None:
    assert slug("What `auto` means, in 2 words") == "what-auto-means-in-2-words"
