"""Who is managed: the typed inventory, errors with line and column, what `--host` and `--app` mean."""

from hostwright.inventory.address import Address, parse_address
from hostwright.inventory.app import App, HealthCheck
from hostwright.inventory.detect import Detected, detect
from hostwright.inventory.environment import FromEnv
from hostwright.inventory.host import Host
from hostwright.inventory.load import load
from hostwright.inventory.model import Inventory
from hostwright.inventory.process import Process, Timer
from hostwright.inventory.sandbox import Limits
from hostwright.inventory.schema import json_schema
from hostwright.inventory.secret import Secret
from hostwright.inventory.select import select_app, select_hosts
from hostwright.inventory.starter import render_inventory

__all__ = [
    "Address",
    "App",
    "Detected",
    "FromEnv",
    "HealthCheck",
    "Host",
    "Inventory",
    "Limits",
    "Process",
    "Secret",
    "Timer",
    "detect",
    "json_schema",
    "load",
    "parse_address",
    "render_inventory",
    "select_app",
    "select_hosts",
]
