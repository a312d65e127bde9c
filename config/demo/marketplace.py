"""Opening a marketplace: a merchant, its account at the sandbox PSP, its sellers.

Only the merchant itself is made in this process, by the flow behind `./florin create_merchant`, because nobody has a
key before it. Everything after that goes through the public HTTP API with the merchant's own key.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config import seam
from config.demo.psp import PspDesk
from config.demo.shopper import Shopper


@dataclass(frozen=True, slots=True)
class Marketplace:
    """A merchant that can sell: its book, its key in use, its desk at the PSP."""

    name: str
    merchant: str
    book_id: int
    api_key: str
    shopper: Shopper
    psp: PspDesk
    addresses: Mapping[str, str]


def open_marketplace(
    name: str,
    addresses: Mapping[str, str],
    *,
    country: str,
    currency: str,
    over: Callable[[], bool] = lambda: False,
    payout_mode: str = "psp",
) -> Marketplace:
    """Make a merchant with a fresh account of the sandbox PSP; `payout_mode` says if that or a bank pays sellers."""
    from ledger.ids import public_id
    from ledger.models import Mode
    from payments.merchants import FeeTerms, MerchantDetails, create_merchant

    details = MerchantDetails(name, Mode.TEST, FeeTerms(basis_points=1000), country, currency)
    made = create_merchant(details, now=seam.now())
    merchant = public_id("mer", made.merchant.public_id)
    shopper = Shopper(addresses["web"], made.key.key, signing_secret=made.key.signing_secret, over=over)
    psp = PspDesk(addresses["sandbox_psp"], f"sk_test_{secrets.token_hex(16)}")
    shopper.call(
        "PUT",
        f"/merchants/{merchant}/psp-accounts/stripe",
        body={"api_key": psp.secret_key, "base_url": addresses["sandbox_psp"], "payout_mode": payout_mode},
    )
    return Marketplace(name, merchant, made.book.pk, made.key.key, shopper, psp, addresses)


def add_seller(shopper: Shopper, external_id: str, name: str, **more: Any) -> str:
    """Create a seller and return its id."""
    body = {"external_id": external_id, "name": name, **more}
    return str(shopper.post("/sellers", body).body["id"])
