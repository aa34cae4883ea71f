"""Settings: every one has a default, a unit, and an environment variable `DELTABAR_…`, or a file for a secret."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.logs import Format

MIB = 2**20
HOST = r"(?:[A-Za-z0-9_.-]+|[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,7})"
"""A name, or an address of IPv4 or IPv6, without a port."""
SECRETS = Path("/run/secrets")
"""Where Docker, Compose and podman put secrets; a setting may lie there as a file, `deltabar_database_url`."""


class Settings(BaseSettings):
    """What an operator may choose; where not given, read from `DELTABAR_<NAME>`, or a secret's file `deltabar_<name>`.

    Raises `pydantic.ValidationError` for a value that is out of range, and where keys are switched off on an address
    that others can reach.

    >>> Settings(port=9000).port
    9000
    """

    model_config = SettingsConfigDict(
        env_prefix="DELTABAR_", extra="forbid", frozen=True, secrets_dir=SECRETS if SECRETS.is_dir() else None
    )

    data_dir: Path = Field(default=Path("deltabar-data"), description="Folder of all files, and of the SQLite database")
    database_url: str = Field(
        default_factory=lambda chosen: f"sqlite:///{chosen['data_dir'] / 'deltabar.db'}",
        repr=False,  # it may hold a password
        description="The database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on; others than loopback need API keys")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")

    require_keys: bool | Literal["auto"] = Field(
        default="auto", description="Whether requests need an API key; auto: unless the address is loopback"
    )
    allowed_hosts: str = Field(
        default="auto",
        pattern=rf"^(\*|{HOST}(,{HOST})*)$",
        description="Names under which requests may ask for the service (the header Host, without its port), besides "
        "localhost and loopback addresses: a list such as deltabar.example,10.0.0.5; * for any; auto: any where keys "
        "are needed, none elsewhere",
    )
    admin_key: SecretStr | None = Field(
        default=None,
        exclude=True,  # nobody but `deltabar serve` needs it
        min_length=32,
        max_length=256,
        description="Secret of an API key with the scope admin, which is there from the start; best given as the file "
        "/run/secrets/deltabar_admin_key",
    )
    log_format: Format = Field(default="auto", description="text, json, or auto: text on a terminal, JSON elsewhere")

    max_upload_bytes: int = Field(default=1024 * MIB, ge=1, description="Largest data set accepted, in bytes")
    max_expanded_bytes: int = Field(
        default=8192 * MIB, ge=1, description="Most bytes that come out of a compressed data set"
    )
    max_expansion: int = Field(
        default=1000, ge=1, description="Most bytes that come out of one compressed byte, the first 16 MiB aside"
    )
    max_table_bytes: int = Field(
        default=16_384 * MIB, ge=1, description="Most bytes that the table of a data set takes on the disk"
    )
    max_rows: int = Field(default=100_000_000, ge=1, description="Most rows in a data set")
    max_columns: int = Field(default=10_000, ge=1, description="Most columns in a data set")
    max_record_bytes: int = Field(default=16 * MIB, ge=1, description="Longest row of a CSV or JSON file, in bytes")
    max_cell_bytes: int = Field(default=MIB, ge=1, description="Longest text in a cell, in bytes of UTF-8")
    max_members: int = Field(default=64, ge=2, description="Most members of an NPZ file, of which x and y are read")
    max_header_bytes: int = Field(default=10_000, ge=1, description="Longest header of an array in an NPY or NPZ file")
    max_window_bytes: int = Field(
        default=128 * MIB, ge=1024, description="Most memory that a zstd file may ask for, to be unpacked"
    )
    max_ranges: int = Field(default=16, ge=1, description="Most ranges of a data set's bytes in one request")
    ingest_processes: int = Field(default=2, ge=1, description="How many data sets are read at a time")
    ingest_memory_bytes: int = Field(
        default=4096 * MIB, ge=1024 * MIB, description="Address space of a process that reads a data set"
    )
    ingest_seconds: float = Field(default=900.0, gt=0, description="Longest time that reading a data set may take")
    max_body_bytes: int = Field(default=8 * MIB, ge=1024, description="Largest JSON body accepted, in bytes")
    max_predict_rows: int = Field(default=10_000, ge=1, description="Most rows in one predict call")
    max_evaluate_rows: int = Field(default=100_000, ge=1, description="Most rows of a data set to evaluate a model on")

    max_parameters: int = Field(default=100_000_000, ge=1, description="Most weights and biases in a network")

    workers: int = Field(
        default=1, ge=0, le=64, description="Workers beside the API of `deltabar serve`; 0 where others run elsewhere"
    )
    threads: int = Field(
        default=0,
        ge=0,
        description="Threads of a worker, divided among its slots; 0 for all cores it may use, or its share of them",
    )
    devices: str = Field(
        default="auto",
        pattern=r"^(auto|(cpu|cuda:\d{1,2})(,(cpu|cuda:\d{1,2}))*)$",
        description="Where a worker trains jobs that name no device: auto, which is every GPU, or the CPU where there "
        "is none; or a list such as cuda:0,cuda:1",
    )
    slots: int = Field(default=1, ge=1, le=256, description="Jobs that a worker trains at a time on each device")
    job_memory_bytes: int = Field(
        default=0, ge=0, description="Memory that a process which trains a job may have, in bytes; 0 for all there is"
    )
    device_memory_bytes: int = Field(
        default=0, ge=0, description="Memory of a GPU that a job's arrays may have, in bytes; 0 for all there is"
    )
    checkpoint_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How often the state of a training is kept, to go on from after an interruption",
    )
    stall_seconds: float = Field(
        default=600.0, gt=0, description="A training that tells no progress for so long is ended, and tried again"
    )
    lease_seconds: float = Field(default=30.0, gt=0, description="A worker that is silent for so long loses its job")
    poll_seconds: float = Field(default=0.1, gt=0, description="How often workers and event streams look for news")
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often a job that doesn't say so is tried when its worker or child dies",
    )

    @field_validator("require_keys")
    @classmethod
    def _never_open_to_others(cls, require_keys: bool | str, given: ValidationInfo) -> bool | str:
        host = given.data.get("host")
        if require_keys is False and host is not None and not is_loopback(host):
            raise ValueError(
                f"host {host!r} is not a loopback address: anyone who can reach the port could use the service. Leave "
                "keys on and make one with `deltabar keys create --owner NAME`, or listen on 127.0.0.1"
            )
        return require_keys

    @property
    def hosts(self) -> frozenset[str]:
        """The names, besides those of loopback, under which the service may be asked for; "*" where any will do."""
        if self.allowed_hosts == "auto":
            return frozenset("*" if self.keys_required else ())
        return frozenset(self.allowed_hosts.lower().split(","))

    @property
    def keys_required(self) -> bool:
        """Whether requests need an API key."""
        return not is_loopback(self.host) if self.require_keys == "auto" else self.require_keys


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, is this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("example.org")
    (True, True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, of which nobody knows where it will lead
        return False
