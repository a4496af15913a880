"""Exact decimals as text, for what is printed as JSON."""

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer

#: plain decimal text in JSON
DecimalText = Annotated[Decimal, PlainSerializer(lambda value: f"{value:f}", return_type=str)]
UsdText = DecimalText
