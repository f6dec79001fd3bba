from portal.interfaces.late import LateRoute, LateRouter


def test_a_route_looks_at_its_endpoint_when_that_is_needed() -> None:
    router = LateRouter(prefix="/orchard")

    @router.get("/pears/{number}")
    async def pear(number: int, ripe: bool = True) -> dict[str, int]:
        return {"number": number}

    [route] = router.routes
    assert isinstance(route, LateRoute)
    assert route.path == "/orchard/pears/{number}"
    assert "dependant" not in vars(route)

    assert [each.name for each in route.dependant.query_params] == ["ripe"]
    assert not hasattr(route, "colour")
