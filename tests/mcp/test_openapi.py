"""APIs that an OpenAPI document describes, as tools: converted, called, refused."""

from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header, HTTPException, Response
from pydantic import BaseModel
from tests.mcp.workshop import Workshop, serve

from portal.core.items import JsonObject
from portal.errors import BadRequest, Conflict, NotFound, ToolError
from portal.mcp.openapi import base_of, operations, request

COOKIE = {"name": "c", "in": "cookie"}


class Node(BaseModel):
    name: str
    children: list["Node"] = []


def api() -> FastAPI:
    app = FastAPI(title="Shop", version="3")

    @app.get("/items/{item}", operation_id="get_item")
    def item(item: str, tags: Annotated[list[str] | None, "q"] = None, x_key: Annotated[str, Header()] = "") -> Any:
        """One item."""
        return {"item": item, "tags": tags, "key": x_key}

    @app.post("/trees")
    def plant(node: Node) -> Any:
        return node

    @app.put("/lists")
    def put_list(numbers: list[int]) -> Any:
        return sum(numbers)

    @app.get("/picture")
    def picture() -> Any:
        return Response(b"\x89PNG", media_type="image/png")

    @app.delete("/items")
    def clear() -> Response:
        return Response(status_code=204)

    @app.get("/teapot")
    def teapot() -> Any:
        raise HTTPException(418, "short and stout")

    @app.get("/away")
    def away() -> Any:
        return Response(status_code=302, headers={"location": "http://127.0.0.1:1/"})

    @app.get("/much")
    def much() -> Any:
        return Response(b"y" * 200_000)

    return app


async def test_operations_are_tools(workshop: Workshop) -> None:
    async with serve(api()) as url:
        server = {"kind": "openapi", "url": f"{url}/openapi.json", "trusted": True, "headers": {"x-key": "secret"}}
        async with workshop.open({"shop": server}, max_message=100_000) as servers:
            shop = servers.get("shop")
            await workshop.until(lambda: bool(shop.tools()))
            specs = {spec.name: spec for spec in shop.tools()}

            async def call(tool: str, **arguments: Any) -> Any:
                return await shop.call(f"shop__{tool}", arguments, workshop.context())

            one = await call("get_item", item="b ü?")
            tree = await call("plant_trees_post", name="oak", children=[{"name": "leaf"}])
            total = await call("put_list_lists_put", body=[1, 2])
            picture = await call("picture_picture_get")
            empty = await call("clear_items_delete")
            teapot = await call("teapot_teapot_get")
            away = await call("away_away_get")
            with pytest.raises(ToolError, match="no value for"):
                await call("get_item", item="..")
            with pytest.raises(ToolError, match="larger than"):
                await call("much_much_get")
            with pytest.raises(ToolError, match="not there any more"):
                await call("none")
            with pytest.raises(BadRequest, match="set its headers"):
                await servers.sign_in("shop", "http://127.0.0.1/")
            with pytest.raises(NotFound, match="no resources"):
                await servers.resources("shop")
            view = servers.view("shop")

        async with workshop.open({"shop": server}) as servers:
            again = [spec.name for spec in servers.get("shop").tools()]

    assert one.text == '{"item":"b ü?","tags":null,"key":"secret"}'
    assert '"leaf"' in tree.text
    assert total.text == "3"
    assert picture.files[0].name == "picture_picture_get.png"
    assert empty.text == "Done; the answer is empty."
    assert (teapot.failed, "418" in teapot.text, "short and stout" in teapot.text) == (True, True, True)
    assert away.failed
    assert {name: spec.risk for name, spec in specs.items() if "item" in name} == {
        "shop__get_item": "read",
        "shop__clear_items_delete": "network",
    }
    assert specs["shop__plant_trees_post"].parameters["$defs"].keys() == {"Node"}
    assert (view["kind"], view["title"], view["status"]) == ("openapi", "Shop", "up")
    assert again == [*specs]


async def test_what_is_no_document(workshop: Workshop) -> None:
    async def odd(scope: Any, receive: Any, send: Any) -> None:
        bodies = {"/a": b"{", "/b": b"[1]", "/c": b"{}", "/d": b"openapi: 3.1.0\npaths: {}\n", "/e": b"a: [b"}
        if scope["type"] == "http":
            status = 200 if scope["path"] in bodies else 404
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": bodies.get(scope["path"], b"")})

    async with serve(odd) as url:
        named = {name: {"kind": "openapi", "url": f"{url}/{name}"} for name in "abcdef"}
        named["g"] = {"kind": "openapi", "url": "http://127.0.0.1:1/"}
        async with workshop.open(named) as servers:
            for name, why in {
                "a": "cannot be read",
                "b": "no OpenAPI document",
                "c": "no OpenAPI document",
                "e": "cannot be read",
                "f": "answers 404",
                "g": "cannot be reached",
            }.items():
                with pytest.raises(ToolError, match=why):
                    await servers.test(name)
                assert servers.view(name)["status"] == "down"
            await servers.test("d")
            assert servers.get("d").tools() == []


async def test_a_document_of_another_host_is_not_believed() -> None:
    named: JsonObject = {"servers": [{"url": "https://evil.example/v1"}]}

    with pytest.raises(ToolError, match="set `base`"):
        base_of(named, "https://api.example/openapi.json", "")
    assert base_of(named, "https://api.example/openapi.json", "https://evil.example/v1/") == "https://evil.example/v1"
    assert base_of({"servers": [{"url": "v2"}]}, "https://api.example/x/openapi.json", "") == "https://api.example/x/v2"
    assert base_of({}, "https://api.example/openapi.json", "") == "https://api.example"


def test_odd_documents_are_read_as_far_as_they_go() -> None:
    document: JsonObject = {
        "openapi": "3.0.0",
        "components": {
            "parameters": {"page": {"name": "page", "in": "query", "schema": {"type": "integer"}, "description": "p"}},
            "schemas": {"A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}}, "B": {}},
        },
        "paths": {
            "/a": {
                "parameters": [{"$ref": "#/components/parameters/page"}, {"$ref": "#/nowhere"}, "odd"],
                "post": {
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}},
                },
                "get": "odd",
            },
            "/b": None,
            "/c": {"post": {"requestBody": {"content": {"text/plain": {}}}, "parameters": [COOKIE]}},
            "/d": {
                "post": {
                    "parameters": [{"name": "b", "in": "header"}],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"properties": {"b": {}}}}},
                    },
                }
            },
        },
    }

    found = operations(document)

    assert [*found] == ["post_a", "post_c", "post_d"]
    assert found["post_a"].tool["inputSchema"]["properties"]["page"] == {"type": "integer", "description": "p"}
    assert found["post_a"].tool["inputSchema"]["$defs"].keys() == {"B"}
    assert found["post_d"].tool["inputSchema"]["required"] == ["body"]
    made = request(found["post_a"], "http://x", {"page": 2, "b": None})
    assert (made.query, made.body) == ([("page", "2")], b'{"b":null}')
    assert request(found["post_d"], "http://x", {"b": "1\r\n2", "body": {"b": 1}}).headers == {"b": "1  2"}
    assert request(found["post_c"], "http://x", {}).body is None


async def test_one_that_is_off(workshop: Workshop) -> None:
    server = {"kind": "openapi", "url": "http://127.0.0.1:1/", "enabled": False}
    async with workshop.open({"off": server}) as servers:
        assert servers.toolsets() == []
        assert servers.view("off")["status"] == "off"
        with pytest.raises(Conflict):
            await servers.test("off")
