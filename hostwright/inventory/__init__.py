"""Who is managed: the typed inventory, errors with line and column, what `--host` and `--app` mean."""

from hostwright.inventory.address import Address, parse_address
from hostwright.inventory.app import App, HealthCheck, Limits
from hostwright.inventory.environment import FromEnv
from hostwright.inventory.host import Host
from hostwright.inventory.load import load
from hostwright.inventory.model import Inventory
from hostwright.inventory.schema import json_schema
from hostwright.inventory.secret import Secret
from hostwright.inventory.select import select_app, select_hosts

__all__ = [
    "Address",
    "App",
    "FromEnv",
    "HealthCheck",
    "Host",
    "Inventory",
    "Limits",
    "Secret",
    "json_schema",
    "load",
    "parse_address",
    "select_app",
    "select_hosts",
]
