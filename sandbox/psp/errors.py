"""Refusals in Stripe's words.

RefusalError                 anything that is answered with Stripe's error envelope
├── ParameterError    the request was never begun: nothing stored, not even under its idempotency key
└── DeclinedError         a decline: the effects (failed charge, last_payment_error) stay
"""

from typing import Any

type Json = dict[str, Any]

DOCUMENTATION = "https://docs.stripe.com/error-codes/"


class RefusalError(Exception):
    """An answer other than 200, with Stripe's type, code and message.

    `begun` says whether the endpoint had started to work: only then is the answer kept under the
    idempotency key. `keeps_effects` says whether what was written stays written.
    """

    begun = True
    keeps_effects = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"message": message, "type": kind}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = DOCUMENTATION + code.replace("_", "-")
        if param is not None:
            self.error["param"] = param
        self.error.update({name: _public(value) for name, value in more.items()})


def _public(value: Any) -> Any:
    """Answer an object that a refusal shows as it is now, without what only the sandbox may know."""
    return {key: part for key, part in value.items() if key != "_"} if isinstance(value, dict) else value


class ParameterError(RefusalError):
    """A parameter that Stripe refuses before it begins."""

    begun = False


class DeclinedError(RefusalError):
    """A decline: 402, and the attempt stays on the books."""

    keeps_effects = True


def missing(param: str) -> ParameterError:
    """A required parameter is not there."""
    return ParameterError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown_parameter(param: str) -> ParameterError:
    """A parameter that the endpoint does not have."""
    return ParameterError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def not_found(kind: str, identifier: str, *, param: str = "id") -> RefusalError:
    """An object that does not exist for this account (another account's objects look the same)."""
    return RefusalError(f"No such {kind}: '{identifier}'", status=404, code="resource_missing", param=param)


def unknown_reference(kind: str, identifier: str, *, param: str) -> RefusalError:
    """A parameter names an object that does not exist for this account: Stripe answers 400 here, not 404."""
    return RefusalError(f"No such {kind}: '{identifier}'", status=400, code="resource_missing", param=param)


def unexpected_state(intent: Json, verb: str) -> RefusalError:
    """The PaymentIntent is not in a state in which this can be done."""
    word = "PaymentIntent" if intent["object"] == "payment_intent" else "SetupIntent"
    code = "payment_intent_unexpected_state" if word == "PaymentIntent" else "setup_intent_unexpected_state"
    held: Json = {str(intent["object"]): intent}
    return RefusalError(
        f"You cannot {verb} this {word} because it has a status of {intent['status']}.", code=code, **held
    )
