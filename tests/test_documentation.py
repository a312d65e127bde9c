"""The documentation is compared with what it describes: links, settings, dependencies, statuses, words, manifests.

A page that nothing checks is wrong before anybody notices. The README's example runs against a real stack.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from config.local_stack.home import ROOT
from config.local_stack.programs import NAMES, QUEUES
from ledger.models import Period
from payments import representations
from payments.appliers import statuses
from payments.management.commands import document_machines
from payments.models import Charge, Dispute, PaymentEvent, PaymentOrder, Payout, PspOperation, Refund
from tests.journeys.driven_stack import DrivenStack
from wallet.models import Proposal

DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "benchmarks" / "README.md", *DOCS.rglob("*.md")])
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_READ_BY_THE_APPLICATION = "Read by the application (`config/settings.py`, `config/celery.py`)"
_NAMED_IN_CODE = re.compile(r"\bdocs/[a-z0-9/_-]+\.(?:md|svg)")
# Words that praise and do not inform, and paths of one person's machine.
_BANNED = re.compile(
    r"\b(?:seamless(?:ly)?|blazing(?:ly)?|cutting-edge|world-class|state-of-the-art|effortless(?:ly)?|best-in-class"
    r"|revolutionary|game-chang\w+|battle-tested|enterprise-grade|supercharge\w*|delve\w*|leverag\w+|robust(?:ly)?"
    r"|powerful|elegant(?:ly)?|simply|obviously|TODO|FIXME|lorem ipsum)\b|(?<![\w.:/-])/(?:root|home|work|Users)/",
    re.IGNORECASE,
)


def _names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def _anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings have where Markdown is shown."""
    headings = re.findall(r"^#+ +(.*)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    texts = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts}


def _rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table rows below a heading, without the table's own head."""
    text = (DOCS / page).read_text()
    if heading:
        text = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = {number for number, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        is_there = file.is_relative_to(ROOT) and file.exists()
        if not is_there or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_words_inform(page: Path) -> None:
    assert [found[0] for found in _BANNED.finditer(page.read_text())] == []


def test_every_page_is_in_the_index() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in (DOCS / "README.md", DOCS / "adr" / "README.md")
        for target in _LINK.findall(page.read_text())
    }
    assert [str(page) for page in PAGES if page not in linked and page != DOCS / "README.md"] == []


def test_pages_named_in_the_sources_exist() -> None:
    apps = ("config", "reconciliation", "payments", "wallet", "ledger", "sandbox", "benchmarks", "tests", "deploy")
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for app in apps
        for path in (ROOT / app).rglob("*")
        if path.suffix in (".py", ".sql", ".html", ".yaml", ".ini", ".md") or path.name == "Dockerfile"
        for name in _NAMED_IN_CODE.findall(path.read_text())
        if not (ROOT / name).exists()
    }
    assert missing == set()


def test_every_decision_is_a_numbered_sentence() -> None:
    pages = sorted((DOCS / "adr").glob("0*.md"))
    index = (DOCS / "adr" / "README.md").read_text()
    for number, page in enumerate(pages, 1):
        title = page.read_text().splitlines()[0]
        assert title.startswith(f"# {number}. "), page.name
        assert f"[{title.partition('. ')[2]}]({page.name})" in index
        assert "\n## Context\n" in page.read_text()
        assert "\n## Decision\n" in page.read_text()
        assert "\n## Consequences\n" in page.read_text()


def test_settings_are_those_that_the_code_reads() -> None:
    read = set[str]()
    for name in ("config/settings.py", "config/celery.py"):
        read |= set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", (ROOT / name).read_text()))
    listed = {row[0].strip("`") for row in _rows("reference/settings.md", _READ_BY_THE_APPLICATION)}
    assert listed == read - {"DJANGO_SETTINGS_MODULE"}


def test_every_direct_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for group, heading in (
        (project["project"]["dependencies"], "Runtime"),
        (project["dependency-groups"]["dev"], "Development"),
    ):
        wanted = {re.split(r"[\[=<>~! ]", requirement)[0].lower() for requirement in group}
        rows = _rows("reference/dependencies.md", heading)
        assert {row[0].strip("`") for row in rows} == wanted
        assert all(len(row) == 3 and all(row) for row in rows)


def test_results_of_payments_are_those_of_the_code() -> None:
    listed = {row[1].strip("`"): row[2].strip("`") for row in _rows("reference/statuses.md", "Payment")}
    ended = {row[1].strip("`") for row in _rows("reference/statuses.md", "Payment") if row[3] == "yes"}
    assert listed == representations.RESULT
    assert set(listed) == set(PaymentEvent.Status.values)
    assert ended == {str(status) for status in statuses.TERMINAL}


def test_the_rule_of_a_payments_status_is_told_in_the_order_of_the_code() -> None:
    source = (ROOT / "payments/appliers/statuses.py").read_text().split("def derive", 1)[1]
    returned = [PaymentEvent.Status[name].value for name in re.findall(r"_E\.([A-Z_]+)", source)]
    assert [row[1].strip("`") for row in _rows("reference/statuses.md", "Payment")] == returned


@pytest.mark.parametrize(
    ("heading", "values"),
    [
        ("Order", PaymentOrder.Status.values),
        ("Charge", Charge.Status.values),
        ("Refund", Refund.Status.values),
        ("Dispute", [*Dispute.Status.values, *Dispute.Evidence.values]),
        ("Payout", Payout.Status.values),
        ("Operation", PspOperation.State.values),
        ("Proposal", Proposal.State.values),
        ("Period", Period.Status.values),
    ],
)
def test_statuses_are_those_of_the_code(heading: str, values: list[str]) -> None:
    assert [row[0].strip("`") for row in _rows("reference/statuses.md", heading)] == values


def test_facts_of_a_payment_are_those_of_the_code() -> None:
    told = set(re.findall(r"`(payment\.\w+)`", (DOCS / "reference/statuses.md").read_text()))
    assert told == set(statuses.FACT_TYPES.values())


def test_state_diagrams_are_drawn_from_the_code() -> None:
    assert (ROOT / document_machines.PAGE).read_text() == document_machines.page()


def test_words_of_the_design_are_in_the_glossary() -> None:
    known = {word for row in _glossary() for word in re.split(r"\s*/\s*|,\s*", row[0].replace("*", "").lower())}
    for model in (PaymentEvent, PspOperation):
        assert model.__name__.lower() in known
    words = (
        "merchant", "book", "seller", "buyer", "psp", "order", "charge", "outcome", "unknown", "settlement",
        "due row", "claim", "lease", "fence", "doorbell", "sweeper", "notification", "outbox", "wallet", "pending",
        "entry", "transaction", "posting", "movement", "authorizing account", "recording account", "seam", "repair",
    )  # fmt: skip
    assert [word for word in words if word not in known] == []


def test_a_word_has_one_meaning() -> None:
    words = [row[0] for row in _glossary()]
    assert len(words) == len(set(words))


def _glossary() -> list[list[str]]:
    return [row for row in _rows("glossary.md", "") if row[0].startswith("**")]


def _commands() -> set[str]:
    found = {
        path.stem
        for app in ("config", "reconciliation", "payments", "wallet", "ledger")
        for path in (ROOT / app / "management/commands").glob("*.py")
    }
    return found - {"__init__"}


def test_commands_are_those_that_exist() -> None:
    listed = {re.split(r"[ `]", row[0].strip("`"))[0] for row in _rows("reference/commands.md", "")}
    assert listed - {"shell"} == _commands()


def test_commands_in_the_pages_exist() -> None:
    known = _commands() | {"dbshell", "shell", "help", "WORD"}
    wrong = {
        f"{page.relative_to(ROOT)}: {word}"
        for page in PAGES
        for word in re.findall(r"\./florin ([A-Za-z_]+)", page.read_text())
        if word not in known
    }
    assert wrong == set()


def _containers() -> Iterator[tuple[str, list[str], set[str]]]:
    """Yield name, command and variables of each of our containers in the manifests."""
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    for name, service in compose["services"].items():
        if str(service.get("image", "")).startswith("florin:"):
            yield name, service["command"], set(service["environment"])
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/florin.yaml").read_text()))
    variables = {name for one in documents if one["kind"] == "ConfigMap" for name in one["data"]}
    for one in documents:
        if one["kind"] in ("Deployment", "Job"):
            (container,) = one["spec"]["template"]["spec"]["containers"]
            yield container["name"], container["command"], variables


def test_manifests_start_what_exists_with_settings_that_exist() -> None:
    settings = {row[0].strip("`") for row in _rows("reference/settings.md", _READ_BY_THE_APPLICATION)}
    seen: dict[str, int] = {}
    for name, command, variables in _containers():
        seen[name] = seen.get(name, 0) + 1
        assert variables <= settings, name
        match command:
            case ["granian", *_, target]:
                assert (ROOT / (target.partition(":")[0].replace(".", "/") + ".py")).exists()
            case ["celery", "-A", "config.celery", "worker", "-Q", queues, *_]:
                assert queues == QUEUES
            case ["celery", "-A", "config.celery", "beat", *_]:
                pass
            case ["python", "manage.py", word]:
                assert word in _commands()
            case _:
                raise AssertionError(f"{name}: {command}")
    ours = {*NAMES, "migrate"} - {"sandbox"}
    assert seen == dict.fromkeys(ours, 2)


def test_the_image_holds_every_app() -> None:
    copied = set(re.findall(r"^COPY (\S+) ", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE))
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")} | {"sandbox", "templates", "manage.py"}
    assert apps <= copied
    allowed = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied if not name.startswith("--")} <= set(allowed)


def test_only_the_migration_gets_the_owner() -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    assert [name for name in compose if "DATABASE_OWNER_URL" in compose[name].get("environment", {})] == ["migrate"]
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/florin.yaml").read_text())
    with_owner = [one["metadata"]["name"] for one in documents if "florin-owner" in str(one)]
    assert len(with_owner) == 1
    assert with_owner[0].startswith("florin-migrate")


def test_every_accident_is_shown_by_a_test_that_exists() -> None:
    rows = _rows("explanation/accidents.md", "The accidents")
    assert [row[0] for row in rows if row[0]] == [str(number) for number in range(1, 17)]
    named = [row[3] for row in rows]
    named += [row[2] for row in _rows("explanation/accidents.md", "Money out: bad input, and two at once")]
    missing = []
    for test in named:
        path, _, name = test.strip("`").partition("::")
        if f"\ndef {name}(" not in (ROOT / path).read_text():
            missing.append(test)
    assert missing == []
    deaths = [row[2].strip("`") for row in _rows("explanation/accidents.md", "Deaths")]
    assert [path for path in deaths if not (ROOT / path).is_file()] == []


@pytest.mark.slow
def test_the_readmes_example_runs(driven_stack: DrivenStack) -> None:
    text = (ROOT / "README.md").read_text()
    (script,) = re.findall(r"<!-- example:.*?-->\n```sh\n(.*?)```", text, re.DOTALL)
    assert "sleep 2" in script
    # A machine that runs tests is busy. And where Celery is off, the sweeper alone looks every few seconds.
    patience = "sleep 5" if driven_stack.stack.celery else "sleep 12"
    done = subprocess.run(
        ["sh", "-e"],
        input=script.replace("sleep 2", patience),
        cwd=ROOT,
        env={**driven_stack.environment, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"status":"processing"' in done.stdout
    assert '"status":"succeeded"' in done.stdout
    assert '"wallet_updated":true' in done.stdout
    assert "The books agree" in done.stdout


def test_processes_are_those_that_the_stack_starts() -> None:
    assert {row[0] for row in _rows("architecture.md", "Processes")} == set(NAMES)
