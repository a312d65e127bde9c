"""Which currencies the sandbox takes, and how Stripe counts their smallest unit.

Sources: docs.stripe.com/currencies (zero-decimal, three-decimal and special cases). ISK and UGX are
written with two decimals that must be zero; amounts in three-decimal currencies must end in a zero.
"""

from .errors import ParameterError

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
WHOLE_HUNDREDS = frozenset(("isk", "ugx"))
TWO_DECIMAL = frozenset(
    [
        "aed",
        "afn",
        "all",
        "amd",
        "ang",
        "aoa",
        "ars",
        "aud",
        "awg",
        "azn",
        "bam",
        "bbd",
        "bdt",
        "bgn",
        "bmd",
        "bnd",
        "bob",
        "brl",
        "bsd",
        "bwp",
        "byn",
        "bzd",
        "cad",
        "cdf",
        "chf",
        "cny",
        "cop",
        "crc",
        "cve",
        "czk",
        "dkk",
        "dop",
        "dzd",
        "egp",
        "etb",
        "eur",
        "fjd",
        "fkp",
        "gbp",
        "gel",
        "gip",
        "gmd",
        "gtq",
        "gyd",
        "hkd",
        "hnl",
        "htg",
        "huf",
        "idr",
        "ils",
        "inr",
        "isk",
        "jmd",
        "kes",
        "kgs",
        "khr",
        "kyd",
        "kzt",
        "lak",
        "lbp",
        "lkr",
        "lrd",
        "lsl",
        "mad",
        "mdl",
        "mkd",
        "mmk",
        "mnt",
        "mop",
        "mur",
        "mvr",
        "mwk",
        "mxn",
        "myr",
        "mzn",
        "nad",
        "ngn",
        "nio",
        "nok",
        "npr",
        "nzd",
        "pab",
        "pen",
        "pgk",
        "php",
        "pkr",
        "pln",
        "qar",
        "ron",
        "rsd",
        "rub",
        "sar",
        "sbd",
        "scr",
        "sek",
        "sgd",
        "shp",
        "sle",
        "sos",
        "srd",
        "std",
        "szl",
        "thb",
        "tjs",
        "top",
        "try",
        "ttd",
        "twd",
        "tzs",
        "uah",
        "ugx",
        "usd",
        "uyu",
        "uzs",
        "wst",
        "xcd",
        "yer",
        "zar",
        "zmw",
    ]
)
SUPPORTED = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMAL

FEE_BASIS_POINTS = 150
FEE_FIXED_MINOR = {0: 25, 2: 25, 3: 250}
DISPUTE_FEE_MINOR = {0: 2000, 2: 2000, 3: 20000}


def currency_of(value: str, *, param: str = "currency") -> str:
    """Answer the currency in lower case, or refuse one that Stripe does not have."""
    currency = value.lower()
    if currency not in SUPPORTED:
        raise ParameterError(f"Invalid currency: {value[:10]}.", param=param)
    return currency


def exponent(currency: str) -> int:
    """Answer how many decimals Stripe gives the currency."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def check_amount(amount_minor: int, currency: str, *, param: str = "amount") -> None:
    """Refuse an amount that the currency cannot carry at Stripe."""
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_HUNDREDS else 1
    if amount_minor % step:
        raise ParameterError(
            f"Invalid amount. Amounts in {currency.upper()} must be a multiple of {step}.", param=param
        )


def card_fee(amount_minor: int, currency: str) -> int:
    """Answer the fee of a European card in minor units: 1.5 % rounded half up, and a fixed part."""
    return (amount_minor * FEE_BASIS_POINTS + 5000) // 10_000 + FEE_FIXED_MINOR[exponent(currency)]


def dispute_fee(currency: str) -> int:
    """Answer what a dispute costs in minor units."""
    return DISPUTE_FEE_MINOR[exponent(currency)]


def money(amount_minor: int, currency: str) -> str:
    """Write an amount for people, such as `19.99 EUR`."""
    digits = exponent(currency)
    sign, whole = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    if digits == 0:
        return f"{sign}{whole} {currency.upper()}"
    return f"{sign}{whole // 10**digits}.{whole % 10**digits:0{digits}d} {currency.upper()}"
