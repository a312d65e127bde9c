"""The tutorial is typed in as it is written, and a browser pays where it says so."""

import re
import subprocess
import sys

import pytest

from config.local_stack.home import ROOT
from tests.journeys.driven_stack import COMMAND_SECONDS, DrivenStack

TUTORIAL = ROOT / "docs" / "tutorial" / "first-payment.md"
HERE_THE_BUYER_PAYS = "<!-- here the buyer pays -->"
BUYER = """
import sys
from config.demo.browser import Browser
from config.demo.scenes.paying import at_the_psp
browser = Browser()
page = at_the_psp(browser, browser.press(browser.open(sys.argv[1]), "pay"), "three_d_secure")
page = browser.press(browser.press(page, "three_d_secure"), "approve")
print(browser.wait(page, lambda shown: shown.refresh is None, seconds=30).heading)
"""


@pytest.mark.slow
def test_every_step_works_as_written(driven_stack: DrivenStack) -> None:
    blocks = re.findall(rf"^```sh\n(.*?)^```|^({HERE_THE_BUYER_PAYS})", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE)
    buyer = f'"$PYTHON" -c \'{BUYER}\' "$PAGE"\n'
    typed = "set -eu\n" + "\necho; echo\n".join(block or buyer for block, _ in blocks)
    environment = {**driven_stack.environment, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", typed],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert buyer in typed
    for words in (
        "/checkout/pay_",
        "Thank you, your payment is complete",
        '"pending":"17.99"',
        "notified by the PSP",
        "The books agree",
        "insufficient_funds",
    ):
        assert words in done.stdout, words
    assert done.stdout.rstrip().splitlines()[-1].count('"status":"succeeded"') == 1
