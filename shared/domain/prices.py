"""The operator's own prices."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class OwnPrice(BaseModel):
    """Dollars for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: _Dollars
    output: _Dollars
    cached: _Dollars | None = None
    """Input that the provider had cached; left out: as other input."""


_OWN: TypeAdapter[dict[str, OwnPrice]] = TypeAdapter(dict[str, OwnPrice])


def parse_own_prices(text: str) -> dict[str, OwnPrice]:
    """`{"my-model": {"input": 0.5, "output": 1.5, "cached": 0.1}}`; `ValueError` names what is wrong."""
    try:
        return _OWN.validate_json(text or "{}", strict=True)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        where = "".join(f"{step}." for step in error["loc"]).rstrip(".")
        problem = f"{where}: {error['msg']}" if where else error["msg"]
        raise ValueError(problem) from None
