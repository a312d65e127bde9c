"""Merchants and keys from the command line."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from payments.models import ApiKey, Merchant, PspAccount
from payments.psp import registry
from tests.payments.api.conftest import Api


def run(*words: str) -> dict[str, Any]:
    """Run a command and read the JSON that it prints."""
    out = StringIO()
    call_command(*words, "--json", stdout=out, stderr=StringIO())
    content: dict[str, Any] = json.loads(out.getvalue())
    return content


def test_a_merchant_made_here_can_sell(db: None, settings: Any) -> None:
    settings.SANDBOX_PSP_URL = "http://127.0.0.1:9"  # nothing listens: the merchant works all the same
    made = run("create_merchant", "Bazaar", "--fee-basis-points", "250", "--fee-fixed", "0.30")
    assert list(made) == ["merchant", "api_key", "signing_secret"]
    api = Api(made["api_key"])
    assert api.get(f"merchants/{made['merchant']}").status_code == 200
    response = api.post("payments", {"checkout_id": "c", "currency": "EUR", "amount": "10.00"})
    assert response.status_code == 201
    assert json.loads(response.content)["payment_orders"][0]["platform_fee"] == "0.55"
    assert PspAccount.objects.get().base_url == registry.SANDBOX
    assert made["signing_secret"].encode() not in bytes(ApiKey.objects.get().signing_secret)


def test_without_a_psp_the_merchant_is_made_and_told_so(db: None, settings: Any) -> None:
    settings.SANDBOX_PSP_URL = ""
    out = StringIO()
    call_command("create_merchant", "Bazaar", stdout=out)
    assert "no PSP account yet" in out.getvalue()
    assert PspAccount.objects.count() == 0


@pytest.mark.parametrize(
    "words",
    [
        [" "],
        ["B", "--fee-basis-points", "10001"],
        ["B", "--currency", "XXX"],
        ["B", "--fee-fixed", "0.001"],
        ["B", "--psp-url", "https://psp.example"],
    ],
)
def test_wrong_words_make_nothing(db: None, words: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("create_merchant", *words)
    assert Merchant.objects.count() == 0


def test_an_administrator_makes_merchants(db: None) -> None:
    made = run("create_administrator_key", "operations")
    response = Api(made["api_key"]).post("merchants", {"name": "Bazaar"})
    assert response.status_code == 201
