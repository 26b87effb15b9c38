"""Scans of one turntable: their cameras, and what each says about the others' points."""

from fedchain.scans.turntable.images import CHANNEL_NAMES, ChannelKind, channel_image
from fedchain.scans.turntable.sets import Member, ScanSet, read_set
from fedchain.scans.turntable.views import ScanView, Views

__all__ = [
    "CHANNEL_NAMES",
    "ChannelKind",
    "Member",
    "ScanSet",
    "ScanView",
    "Views",
    "channel_image",
    "read_set",
]
