"""The magic tokens: what each of them is and how it behaves.

Names that begin with `pm_card_` are Stripe's own (docs.stripe.com/testing); `pm_sandbox_` ones are ours.
A token is not a payment method: every use makes a new one, which pays once unless it is attached to a
customer.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Decline:
    """Why a payment is refused, in Stripe's words."""

    code: str
    decline_code: str | None
    message: str


GENERIC: Final = Decline("card_declined", "generic_decline", "Your card was declined.")
DECLINES: Final = {
    "generic": GENERIC,
    "insufficient_funds": Decline("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "lost": Decline("card_declined", "lost_card", "Your card was declined."),
    "stolen": Decline("card_declined", "stolen_card", "Your card was declined."),
    "fraudulent": Decline("card_declined", "fraudulent", "Your card was declined."),
    "velocity": Decline(
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    "expired": Decline("expired_card", "expired_card", "Your card has expired."),
    "cvc": Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
    "processing": Decline(
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
}
AUTHENTICATION_REQUIRED: Final = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED: Final = Decline(
    "payment_intent_authentication_failure",
    None,
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
)
SETUP_AUTHENTICATION_FAILED: Final = Decline(
    "setup_intent_authentication_failure",
    None,
    "The latest attempt to set up the payment method has failed because authentication failed.",
)
DELAYED_DECLINE: Final = Decline(
    "payment_intent_payment_attempt_failed", None, "The payment failed: the buyer's bank refused it."
)


@dataclass(frozen=True, slots=True)
class Token:
    """What a magic token stands for."""

    name: str
    type: str = "card"
    brand: str = "visa"
    funding: str = "credit"
    last4: str = "4242"
    decline: Decline | None = None
    declines_when_attached: bool = True
    challenge: str | None = None  # "always", or "unless_set_up"
    delayed: str | None = None  # "succeed" or "decline"
    late_success: bool = False
    dispute: str | None = None  # the reason
    refund: str | None = None  # "fails" or "pends"
    available_at_once: bool = False


def _declined(name: str, why: str, last4: str) -> Token:
    return Token(name, last4=last4, decline=DECLINES[why])


_ALL = (
    Token("pm_card_visa"),
    Token("pm_card_visa_debit", funding="debit", last4="5556"),
    Token("pm_card_mastercard", brand="mastercard", last4="4444"),
    Token("pm_card_mastercard_debit", brand="mastercard", funding="debit", last4="8210"),
    Token("pm_card_amex", brand="amex", last4="8431"),
    Token("pm_card_bypassPending", last4="0077", available_at_once=True),
    _declined("pm_card_chargeDeclined", "generic", "0002"),
    _declined("pm_card_visa_chargeDeclined", "generic", "0002"),
    _declined("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds", "9995"),
    _declined("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds", "9995"),
    _declined("pm_card_visa_chargeDeclinedLostCard", "lost", "9987"),
    _declined("pm_card_visa_chargeDeclinedStolenCard", "stolen", "9979"),
    _declined("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "velocity", "6975"),
    _declined("pm_card_radarBlock", "fraudulent", "0019"),
    _declined("pm_card_chargeDeclinedExpiredCard", "expired", "0069"),
    _declined("pm_card_chargeDeclinedIncorrectCvc", "cvc", "0127"),
    _declined("pm_card_chargeDeclinedProcessingError", "processing", "0119"),
    Token("pm_card_chargeCustomerFail", last4="0341", decline=GENERIC, declines_when_attached=False),
    Token("pm_card_authenticationRequired", last4="3184", challenge="always"),
    Token("pm_card_authenticationRequiredOnSetup", last4="3155", challenge="unless_set_up"),
    Token("pm_card_authenticationRequiredSetupForOffSession", last4="3155", challenge="unless_set_up"),
    Token("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", last4="9995",
          challenge="always", decline=DECLINES["insufficient_funds"], declines_when_attached=False),
    Token("pm_card_createDispute", last4="0259", dispute="fraudulent"),
    Token("pm_card_createDisputeProductNotReceived", last4="2685", dispute="product_not_received"),
    Token("pm_card_refundFail", last4="5126", refund="fails"),
    Token("pm_card_pendingRefund", last4="7726", refund="pends"),
    Token("pm_sandbox_wallet", type="link", funding="debit", last4="0000"),
    Token("pm_sandbox_qr", type="wechat_pay", delayed="succeed"),
    Token("pm_sandbox_qr_declined", type="wechat_pay", delayed="decline"),
    Token("pm_sandbox_delayed_success", type="sepa_debit", last4="3000", delayed="succeed"),
    Token("pm_sandbox_delayed_decline", type="sepa_debit", last4="3002", delayed="decline"),
    Token("pm_sandbox_late_success", type="sepa_debit", last4="3004", delayed="succeed", late_success=True),
)  # fmt: skip
TOKENS: Final[dict[str, Token]] = {token.name: token for token in _ALL}

METHOD_TYPES: Final = ("card", "link", "wechat_pay", "sepa_debit")
TYPES_WITHOUT_MANUAL_CAPTURE: Final = frozenset(("wechat_pay", "sepa_debit"))


def token_of_card_token(card_token: str) -> Token | None:
    """Answer what `tok_visa` and the like stand for: the payment method token of the same name."""
    return TOKENS.get("pm_card_" + card_token.removeprefix("tok_")) if card_token.startswith("tok_") else None
