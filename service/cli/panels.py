"""Under which heads the commands stand in the help."""

from __future__ import annotations

LOCAL = "Train and predict here"
CLIENT = "Use a service"
SERVICE = "Run a service"
