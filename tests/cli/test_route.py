"""Which model would answer, in the terminal: one request, many, and those of the past."""

import json

from tests.cli.conftest import Installation


def test_a_text_is_explained_and_nobody_asked(shared: Installation) -> None:
    done = shared.run("route", "write me something that reverses a list")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["requested_model"], told["resolved_model"], told["task"]) == ("auto", "tiny:latest", "coding")
    assert 0 <= told["difficulty"] <= 1
    named = json.loads(shared.run("route", "--model", "tiny", "Hello").stdout)
    assert (named["requested_model"], named["reason"]) == ("tiny", "asked for by name")


def test_lines_are_labelled_without_a_server(installation: Installation) -> None:
    rows = [
        {"id": 1, "text": "Schreib mir ein Gedicht über den Herbst"},
        {"id": "b", "text": "and now in Spanish", "history": ["Write a poem about autumn"]},
        {
            "id": "c",
            "text": "and now in Spanish",
            "history": [
                {"role": "user", "content": "Write a poem about autumn"},
                {"role": "assistant", "content": "def reverse(items): return items[::-1]"},
            ],
        },
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    done = installation.run("route", "--jsonl", stdin=f"{lines}\n\n")
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["id"], row["label"]) for row in said] == [(1, "creative"), ("b", "creative"), ("c", "creative")]
    assert said[1] | {"id": "c"} == said[2]  # what the model answered is not the user's
    assert all(row.keys() == {"id", "label", "hardness", "needs"} and 0 <= row["hardness"] <= 1 for row in said)


def test_a_line_that_is_none_is_named(installation: Installation) -> None:
    good = json.dumps({"id": 1, "text": "Hello"})
    broken = installation.run("route", "--jsonl", stdin=f"{good}\nnot json\n")
    assert (broken.returncode, "Line 2" in broken.stderr) == (1, True)
    for wrong in (
        '{"id": 1}',
        "[]",
        '{"text": "a", "history": [1]}',
        '{"text": "a", "history": [{"role": "user", "content": [3]}]}',
    ):
        assert "Line 1" in installation.run("route", "--jsonl", stdin=wrong).stderr


def test_past_turns_are_judged_again(installation: Installation, shared: Installation) -> None:
    client = shared.server_file().client()
    asked = client.send("POST", "/v1/responses", {"model": "auto", "input": "Hello there"})
    client.send("PUT", f"/portal/v1/responses/{asked['id']}/feedback", {"rating": 1})
    done = shared.run("route", "--replay", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "+ tiny:latest\tHello there\n"
    assert "0 of 1 would go elsewhere now" in done.stderr


def test_it_wants_something_to_judge_and_a_server(installation: Installation, shared: Installation) -> None:
    assert "Give a TEXT" in shared.run("route").stderr
    assert installation.run("route", "Hello").returncode == 1
