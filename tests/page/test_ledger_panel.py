"""The ledger panel in Chromium: it checks the chain, lets a reader change it, and says what follows."""

from __future__ import annotations

import base64
import hashlib

import pytest

import fedchain
from fedchain.results import exported_to
from fedchain.results.run import Run
from fedchain.page.records import page_records
from small_runs import forking
