#!/usr/bin/python3
"""Writes an OCI image archive (image-layout 1.0.0) from its layers, a packed tar each.

The same layers give the same bytes: no clock, no user, no order of a folder goes into it.
"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
import tempfile
from pathlib import Path

# Kubernetes' and OCI's name of this machine.
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
ENVIRONMENT = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
KIND = "application/vnd.oci.image"
CHUNK = 1 << 20


def digest_of(file) -> str:
    """The SHA-256 of what is left to read, in hex."""
    found = hashlib.sha256()
    while chunk := file.read(CHUNK):
        found.update(chunk)
    return found.hexdigest()


class Blobs:
    """The content of an archive, each file under its digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, kind: str, content: bytes) -> dict:
        """Keeps some bytes; returns their descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / digest).write_bytes(content)
        return {"mediaType": f"{KIND}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, kind: str, content: dict) -> dict:
        return self.add(kind, json.dumps(content, sort_keys=True, separators=(",", ":")).encode())

    def add_layer(self, layer: Path) -> tuple:
        """Keeps a layer; returns its descriptor and the digest of the tar in it."""
        with open(layer, "rb") as packed, gzip.open(layer, "rb") as tar:
            digest, diff = digest_of(packed), digest_of(tar)
        (self.folder / digest).symlink_to(layer.resolve())
        kept = {"mediaType": f"{KIND}.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": layer.stat().st_size}
        return kept, f"sha256:{diff}"


def image(blobs: Blobs, layers: list, name: str, entrypoint: list, created: str) -> dict:
    """Everything from the layers up to the index, which names the image for whoever imports it."""
    kept = [blobs.add_layer(layer) for layer in layers]
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "created": created,
        "config": {"Entrypoint": entrypoint, "Env": ENVIRONMENT, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in kept]},
        "history": [{"created": created, "created_by": layer.name} for layer in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{KIND}.manifest.v1+json",
        "config": blobs.add_json("config.v1+json", config),
        "layers": [layer for layer, _ in kept],
    }
    found = blobs.add_json("manifest.v1+json", manifest) | {
        "platform": {"architecture": ARCHITECTURE, "os": "linux"},
        # containerd and podman want the whole name, skopeo the tag.
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rpartition(":")[2],
        },
    }
    return {"schemaVersion": 2, "mediaType": f"{KIND}.index.v1+json", "manifests": [found]}


def write(archive: Path, blobs: Path, index: dict, seconds: int) -> None:
    """The archive: the layout's marker, the index, the blobs by name."""

    def entry(path: str, size: int) -> tarfile.TarInfo:
        found = tarfile.TarInfo(path)
        found.size, found.mtime, found.mode = size, seconds, 0o644
        return found

    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in [("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)]:
            text = json.dumps(content, sort_keys=True).encode()
            tar.addfile(entry(path, len(text)), io.BytesIO(text))
        for blob in sorted(blobs.iterdir()):
            with open(blob, "rb") as file:
                tar.addfile(entry(f"blobs/sha256/{blob.name}", blob.stat().st_size), file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the image's whole name, with its tag")
    parser.add_argument("--entrypoint", action="append", metavar="WORD", help="what runs in it, a word each time")
    parser.add_argument("--created", type=int, default=0, metavar="SECONDS", help="its date")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("layers", type=Path, nargs="+", metavar="LAYER", help="a tar, packed by gzip; the lowest comes first")
    options = parser.parse_args()
    created = datetime.datetime.fromtimestamp(options.created, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    blobs = Path(tempfile.mkdtemp(dir=options.output.parent))
    try:
        index = image(Blobs(blobs), options.layers, options.name, options.entrypoint, created)
        write(options.output, blobs, index, options.created)
    finally:
        shutil.rmtree(blobs)


main()
