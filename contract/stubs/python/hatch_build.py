"""The package's dependencies, at the versions that its generated modules refuse to run below."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class LowerBounds(MetadataHookInterface):
    """Hatchling asks it for what pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets the dependencies. Protobuf promises that its next major version runs these modules, and no later one."""
        generated = "".join(path.read_text() for path in Path(self.root, "callrequest/v1").glob("*_pb2*.py"))
        (grpcio,) = set(re.findall(r"^GRPC_GENERATED_VERSION = '(.+)'$", generated, re.MULTILINE))
        (protobuf,) = set(re.findall(r"^# Protobuf Python Version: (.+)$", generated, re.MULTILINE))
        too_late = int(protobuf.partition(".")[0]) + 2
        metadata["dependencies"] = [f"grpcio>={grpcio}", f"protobuf>={protobuf},<{too_late}"]
