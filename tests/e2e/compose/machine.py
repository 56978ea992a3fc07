"""A machine for one play. Runs inside the namespaces that `unshare --mount --net --pid` made, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.deploy.compose import ROOT, Service

SUBNET = "10.77.{network}.{host}"
"""Addresses in a network namespace without any way out."""


def sh(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")


class Machine:
    """Folders for volumes and logs, one bridge a network, and the containers."""

    def __init__(self, folder: Path, services: Mapping[str, Service], image: Path) -> None:
        """`image` is the folder that stands at /opt in each container of ours."""
        self.folder = folder
        self.image = image
        self.services = services
        self.networks = sorted({network for service in services.values() for network in service.networks})
        self.addresses = {
            (service.name, network): SUBNET.format(network=self.networks.index(network), host=number)
            for number, service in enumerate(services.values(), 1)
            for network in service.networks
        }

    def set_up(self) -> None:
        sh("mount", "--make-rprivate", "/")
        # `ip netns` keeps its names here; on a tmpfs of ours they are gone when the machine is.
        sh("mount", "-t", "tmpfs", "tmpfs", "/run")
        # The layers of the containers: an overlay may not lie on another, as this machine's root does in a container.
        (self.folder / "containers").mkdir()
        sh("mount", "-t", "tmpfs", "tmpfs", str(self.folder / "containers"))
        sh("ip", "link", "set", "lo", "up")
        for number, _ in enumerate(self.networks):
            sh("ip", "link", "add", f"br{number}", "type", "bridge")
            sh("ip", "address", "add", f"{SUBNET.format(network=number, host=254)}/24", "dev", f"br{number}")
            sh("ip", "link", "set", f"br{number}", "up")

    def hosts(self, service: Service) -> str:
        """Names that Docker's own resolver would know in there: who shares a network with it."""
        lines = ["127.0.0.1 localhost"]
        for network in service.networks:
            lines += [f"{self.addresses[name, network]} {name}" for name, there in self.addresses if there == network]
        return "\n".join(lines) + "\n"

    def address(self, name: str) -> str:
        """Where this machine itself reaches a service, as Docker's host would."""
        return next(address for (service, _), address in self.addresses.items() if service == name)


class Container:
    def __init__(self, machine: Machine, service: Service) -> None:
        self.service = service
        self.log = machine.folder / f"{service.name}.log"
        self._machine = machine
        self._root = machine.folder / "containers" / service.name / "root"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        self._create_root()
        self._link_networks()

    def _create_root(self) -> None:
        """The machine's own root under a layer of ours, the compose file's mounts in it, then read-only."""
        layers = self._root.parent
        for name in ("upper", "work", "root"):
            (layers / name).mkdir(parents=True)
        options = f"lowerdir=/,upperdir={layers / 'upper'},workdir={layers / 'work'}"
        sh("mount", "-t", "overlay", "overlay", "-o", options, str(self._root))
        self._open_up(ROOT, Path(sys.executable), Path(sys.executable).resolve(), Path(sys.prefix), self._machine.image)
        if "build" in self.service.raw:
            self._bind(self._machine.image, "/opt", is_read_only=True)
            self._make_home()
        for mount in self.service.mounts:
            source = self._volume(mount.source) if mount.is_volume else ROOT / mount.source
            self._bind(source, mount.target, is_read_only=mount.is_read_only)
        inside(self._root, "/etc/hosts").write_text(self._machine.hosts(self.service))
        sh("mount", "-t", "proc", "proc", str(self._root / "proc"))
        sh("mount", "--rbind", "/dev", str(self._root / "dev"))
        for tmpfs in self.service.raw.get("tmpfs", ()):
            target, _, how = tmpfs.partition(":")
            sh("mount", "-t", "tmpfs", "-o", how, "tmpfs", str(inside(self._root, target)))
        if self.service.raw.get("read_only"):
            sh("mount", "-o", "remount,ro", str(self._root))

    def _open_up(self, *paths: Path) -> None:
        """Python and the checkout may lie in a folder that only root may enter; in here others may, for this play."""
        for parent in {parent for path in paths for parent in (path, *path.parents)}:
            seen = inside(self._root, str(parent))
            if seen.is_dir():
                seen.chmod(seen.stat().st_mode | 0o055)

    def _make_home(self) -> None:
        """The folder in which our images' programs start belongs to their user."""
        home = inside(self._root, self.service.folder)
        home.mkdir(parents=True, exist_ok=True)
        if not self.service.folder.startswith("/opt"):
            os.chown(home, *self._owner())

    def _owner(self) -> tuple[int, int]:
        user, _, group = self.service.user.partition(":")
        return int(user), int(group)

    def _volume(self, name: str) -> Path:
        """A named volume that is new takes the owner of the folder it is mounted over: in our images, the user."""
        folder = self._machine.folder / "volumes" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, *self._owner())
        return folder

    def _bind(self, source: Path, target: str, *, is_read_only: bool) -> None:
        place = inside(self._root, target)
        if source.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        sh("mount", "--bind", str(source), str(place))
        if is_read_only:
            sh("mount", "-o", "remount,bind,ro", str(place))

    def _link_networks(self) -> None:
        sh("ip", "netns", "add", self.service.name)
        sh("ip", "-n", self.service.name, "link", "set", "lo", "up")
        for network in self.service.networks:
            number = self._machine.networks.index(network)
            address = self._machine.addresses[self.service.name, network]
            outside = f"v{number}h{address.rpartition('.')[2]}"
            sh("ip", "link", "add", outside, "type", "veth", "peer", f"eth{number}", "netns", self.service.name)
            sh("ip", "link", "set", outside, "master", f"br{number}", "up")
            sh("ip", "-n", self.service.name, "address", "add", f"{address}/24", "dev", f"eth{number}")
            sh("ip", "-n", self.service.name, "link", "set", f"eth{number}", "up")

    def command(self, arguments: Sequence[str]) -> list[str]:
        """These words, run in the container: its root, network, user, environment, and not one capability."""
        user, _, group = self.service.user.partition(":")
        environ = {
            "PATH": "/opt/sidecar/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/nonexistent",
            **self.service.environ,
        }
        environ["PATH"] = environ["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
        pairs = [f"{key}={value}" for key, value in environ.items()]
        return [
            *("nsenter", f"--net=/run/netns/{self.service.name}", "chroot", str(self._root)),
            *("setpriv", "--reuid", user, "--regid", group, "--clear-groups"),
            *("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"),
            *("env", "-i", f"--chdir={self.service.folder}", *pairs, *arguments),
        ]

    def start(self, arguments: Sequence[str] | None = None) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(arguments or self.service.arguments), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def run(self, arguments: Sequence[str], limit_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """As `docker compose exec`."""
        return subprocess.run(
            self.command(arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
            stdin=subprocess.DEVNULL,
        )

    def is_healthy(self, limit_s: float) -> bool:
        try:
            return self.run(self.service.health, limit_s).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process is not None else None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid  # every program on the way replaces itself by the next

    def stop(self, limit_s: float) -> int | None:
        """SIGTERM; None where it had to be killed."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None


def inside(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
