"""FastAPI's routes, made when they are first needed: all at once they are the better half of a start."""

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import compile_path


class LateRoute(APIRoute):
    """Knows at first what finding it takes; what its endpoint takes and gives is looked at before the first call."""

    def __init__(self, path: str, endpoint: Callable[..., Any], *, methods: Iterable[str], **options: Any) -> None:
        self.path, self.endpoint, self.methods = path, endpoint, set(methods)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self._options = options

    def __getattr__(self, name: str) -> Any:
        """Whatever is not there yet."""
        options = self.__dict__.pop("_options", None)
        if options is None:
            raise AttributeError(name)
        super().__init__(self.path, self.endpoint, methods=self.methods, **options)
        return getattr(self, name)


class LateRouter(APIRouter):
    """A router of such routes."""

    def __init__(self, *, route_class: type[LateRoute] = LateRoute, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)
