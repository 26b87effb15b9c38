"""Scans of one turntable: their cameras, and what each says about the others' points."""

from fedchain.scans.turntable.images import CHANNELS, ChannelKind, channel_image
from fedchain.scans.turntable.sets import Member, ScanSet, read_set
from fedchain.scans.turntable.views import View, Views

__all__ = [
    "CHANNELS",
    "ChannelKind",
    "Member",
    "ScanSet",
    "View",
    "Views",
    "channel_image",
    "read_set",
]
