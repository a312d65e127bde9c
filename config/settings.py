"""Settings, all of them from the environment; `config/local_stack` fills in what the embedded default needs."""

import os
from pathlib import Path
from typing import Any

from django.utils.csp import CSP
from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).resolve().parent.parent
FLORIN_HOME = Path(os.environ.get("FLORIN_HOME", BASE_DIR / ".florin"))
FLORIN_VERSION = "0.1.0"

DEBUG = False
SECRET_KEY = os.environ.get("FLORIN_SECRET_KEY", "")
FIELD_KEY = os.environ.get("FLORIN_FIELD_KEY", "")
# Seals: who signs the history, whose signatures are believed besides, and where the heads are written.
SEAL_KEY = os.environ.get("FLORIN_SEAL_KEY", "")
SEAL_PUBLIC_KEYS = os.environ.get("FLORIN_SEAL_PUBLIC_KEYS", "")
SEAL_SECONDS = float(os.environ.get("FLORIN_SEAL_SECONDS", "60"))
SEAL_HEADS = os.environ.get("FLORIN_SEAL_HEADS", "") or str(FLORIN_HOME / "seal-heads.jsonl")
SEAL_BUCKET = os.environ.get("FLORIN_SEAL_BUCKET", "")
SEAL_BUCKET_REGION = os.environ.get("FLORIN_SEAL_BUCKET_REGION", "us-east-1")
SEAL_BUCKET_KEY_ID = os.environ.get("FLORIN_SEAL_BUCKET_KEY_ID", "")
SEAL_BUCKET_SECRET = os.environ.get("FLORIN_SEAL_BUCKET_SECRET", "")
PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000")
SANDBOX_PSP_URL = os.environ.get("SANDBOX_PSP_URL", "")
ALLOWED_HOSTS = os.environ.get("FLORIN_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
IS_OFFICE = os.environ.get("FLORIN_PROCESS") == "office"

INSTALLED_APPS = [
    "config",
    "reconciliation",
    "payments",
    "wallet",
    "ledger",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

# The web process is the hot path: its API and webhooks need no session, cookie or message. Only the office has them.
_WEB_MIDDLEWARE = [
    "payments.api.request_context.RequestContextMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
]
_OFFICE_MIDDLEWARE = [
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
MIDDLEWARE = _WEB_MIDDLEWARE
# The admin is installed everywhere but served by the office only, so its middleware is missing elsewhere on purpose.
SILENCED_SYSTEM_CHECKS = [] if IS_OFFICE else ["admin.E408", "admin.E409", "admin.E410"]
ROOT_URLCONF = "config.urls_office" if IS_OFFICE else "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.csp",
            ],
        },
    },
]


def _database(url: str, *, role: str | None) -> dict[str, Any]:
    """Turn a libpq URL into Django's settings; `role` narrows the session's rights when one login serves both."""
    parts = conninfo_to_dict(url)
    session = ["-c lock_timeout=5000", "-c idle_in_transaction_session_timeout=60000"]
    if role:
        session.append(f"-c role={role}")
    else:
        session.append("-c statement_timeout=0")
    return {
        "ENGINE": "config.database",
        "NAME": parts.pop("dbname", "florin"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": str(parts.pop("port", "")),
        "CONN_MAX_AGE": None,
        # A health check would be a round trip per request. Whoever finds a connection dead replaces it
        # (payments/api/authentication.py, payments/work_loop.py); at worst one answer is a 503 to be repeated.
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {"options": " ".join(session), "connect_timeout": 5, **parts},
    }


_runtime_url = os.environ.get("DATABASE_URL", "postgresql://florin_app@127.0.0.1/florin")
_owner_url = os.environ.get("DATABASE_OWNER_URL", "")
DATABASES = {
    # The role that web and workers run under: it cannot change history or the schema (deploy/roles.sql).
    "default": _database(_runtime_url, role=None if _owner_url else "florin_app"),
    # Only migrations and tests connect as the owner.
    "owner": _database(_owner_url or _runtime_url, role=None),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = os.environ.get("REDIS_URL", "")
DOORBELLS = os.environ.get("FLORIN_DOORBELLS", "on") == "on"

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = FLORIN_HOME / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_MAX_AGE = 3600

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_SECURE = PUBLIC_URL.startswith("https:")
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "no-referrer"
X_FRAME_OPTIONS = "DENY"
# The hosted page and the API's documents: no script at all (the docs page says its own policy). The office: at the end.
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
}

# Bodies are read and limited by the API itself (256 KiB, bulk 2 MiB); this is the outer wall.
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["payments.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["payments.api.authentication.HasScope"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "payments.api.errors.problem_response",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Florin",
    "DESCRIPTION": "A payment system that an e-commerce marketplace runs itself.",
    "VERSION": FLORIN_VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {"SideEnum": ["debit", "credit"]},  # one name for one set of words
}

LOGGING_CONFIG = "config.logs.configure"
LOGGING = {"level": os.environ.get("FLORIN_LOG_LEVEL", "INFO")}

# Flow settings, in seconds unless the name says otherwise. docs/reference/settings.md explains each.
PSP_CONNECT_TIMEOUT_SECONDS = 2.0
PSP_READ_TIMEOUT_SECONDS = float(os.environ.get("FLORIN_PSP_READ_TIMEOUT", "10"))
PSP_CALLS_IN_FLIGHT = int(os.environ.get("FLORIN_PSP_CALLS_IN_FLIGHT", "64"))
LEASE_SECONDS = int(os.environ.get("FLORIN_LEASE_SECONDS", "45"))
SWEEP_SECONDS = 5
CHECK_SECONDS = float(os.environ.get("FLORIN_CHECK_SECONDS", "30"))
POLL_AFTER_SECONDS = int(os.environ.get("FLORIN_POLL_AFTER", "60"))
# How often the changes at a PSP are looked through for those that it told nobody of.
LOOK_SECONDS = int(os.environ.get("FLORIN_LOOK_SECONDS", "900"))
# How long evidence is kept after its dispute is over: it holds personal data of buyers.
EVIDENCE_DAYS = int(os.environ.get("FLORIN_EVIDENCE_DAYS", "540"))
CHECKOUT_EXPIRES_AFTER_HOURS = 24
# Payouts: how long a bank account waits after a change, how soon one without funding is looked at again, and how many
# are taken up with one answer about a balance.
PAYOUT_COOL_DOWN_HOURS = {
    "live": float(os.environ.get("FLORIN_PAYOUT_COOL_DOWN_HOURS", "24")),
    "test": float(os.environ.get("FLORIN_PAYOUT_COOL_DOWN_HOURS_TEST", "0")),
}
PAYOUT_FUNDING_RETRY_SECONDS = 60
PAYOUTS_PER_FUNDING = 300

# The office. Unfold's Alpine evaluates the expressions in its templates (hence 'unsafe-eval') and binds the
# menu's width as a style attribute; its one <style> element and htmx's are switched off, so that styles come
# from files only.
UNFOLD = {
    "SITE_TITLE": "Florin back office",
    "SITE_HEADER": "Florin",
    "SITE_SUBHEADER": "Back office, times in UTC",
    "SITE_SYMBOL": "account_balance",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: f"{STATIC_URL}office/icon.svg"}
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _request: f"{STATIC_URL}office/office.css"],
    "SCRIPTS": [lambda _request: f"{STATIC_URL}office/office.js"],
    "SIDEBAR": {"show_search": True, "navigation": "payments.admin.overview.menu"},
    "COMMAND": {"search_callback": "payments.admin.overview.search"},
    "DASHBOARD_CALLBACK": "payments.admin.overview.overview",
    "GLOBAL_CALLBACK": "payments.admin.overview.frame",
}
FORMAT_MODULE_PATH = ["config.formats"]
# People read the office's answers: it leaves out the web's middleware that makes problem documents of refusals.
OFFICE_MIDDLEWARE = ["config.office.OfficeContextMiddleware", *_WEB_MIDDLEWARE[1:], *_OFFICE_MIDDLEWARE]
if IS_OFFICE:
    MIDDLEWARE = OFFICE_MIDDLEWARE
    # Without any referrer a browser posts the origin "null", which the CSRF check refuses.
    SECURE_REFERRER_POLICY = "same-origin"
    SECURE_CSP = {
        "default-src": [CSP.NONE],
        "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
        "style-src": [CSP.SELF],
        "style-src-attr": [CSP.UNSAFE_INLINE],
        "img-src": [CSP.SELF, "data:"],
        "font-src": [CSP.SELF],
        "connect-src": [CSP.SELF],
        "form-action": [CSP.SELF],
        "frame-ancestors": [CSP.NONE],
        "base-uri": [CSP.NONE],
    }
