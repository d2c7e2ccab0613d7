"""All dashboards."""

from pathlib import Path

from .service import SERVICE
from .vendor import VENDOR

FILES = {Path("deploy/dashboards/service.json"): SERVICE, Path("deploy/dashboards/vendor.json"): VENDOR}
"""By the path in the repository that their JSON is written to."""
